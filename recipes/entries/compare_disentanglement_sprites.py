"""Disentanglement of a VAE, of beta-VAEs and of a beta-TCVAE on sprites.

All have the networks of beta_vae_sprites and are trained for some minutes each, with
three seeds, which matter as much as the kind of model (Locatello et al., 2019): the
table has medians and ranges. Scores are those of the posterior means of all test
images. Beside them are numbers published for dSprites, another data set, after longer
training: they say what to expect, not which is better. A study: it makes a table and
pictures of the first seed's models, no entry. Killed, it goes on with the next model.
"""

import json
import re

import keras
import numpy as np
from rich.console import Console
from rich.table import Table

import zoo
from recipes import datasets, figures
from recipes.runs import Run, evaluation_images, write_json
from zoo.objectives import ELBO, TotalCorrelation

EPOCHS = 15
SEEDS = 3
SHAPE, LATENT_DIM, BATCH_SIZE = (32, 32, 1), 10, 64
FILTERS = (32, 32, 64, 64)

MODELS = {  # objectives, of how many training images
    "VAE": lambda images: ELBO(),
    "beta-VAE, beta 2": lambda images: ELBO(2.0),
    "beta-VAE, beta 4": lambda images: ELBO(4.0),
    "beta-TCVAE, beta 6": lambda images: TotalCorrelation(images, beta=6.0),
}
SCORES = {  # headings
    "factor_vae": "FactorVAE",
    "mig": "MIG",
    "dci_disentanglement": "DCI, D",
    "dci_completeness": "DCI, C",
    "dci_informativeness": "DCI, I",
    "sap": "SAP",
}
PUBLISHED = {  # dSprites; Lin et al., "InfoGAN-CR and ModelCentrality", 2020, table 1
    "VAE": {"factor_vae": 0.63, "mig": 0.10, "dci_disentanglement": 0.30},
    "beta-VAE": {"factor_vae": 0.63, "mig": 0.21, "dci_disentanglement": 0.41},
    "FactorVAE": {"factor_vae": 0.82, "mig": 0.43, "dci_disentanglement": 0.74},
}


def train(run: Run) -> None:
    data = datasets.load("sprites")
    test = evaluation_images(data.test, binarise=False)
    folder, file = run.folder / "figures", run.folder / "results.json"
    folder.mkdir(exist_ok=True)
    results = json.loads(file.read_text()) if file.exists() else []
    done = {(row["model"], row["seed"]) for row in results}
    for seed in range(run.seed, run.seed + SEEDS):
        for name, objective in MODELS.items():
            if (name, seed) in done:
                continue
            print(f"{name}, seed {seed}")
            model = fit(objective(len(data.train)), data.train, seed, run.epochs)
            if seed == run.seed:
                picture = figures.traversal(model, test[:1000])
                slug = re.sub(r"\W+", "_", name).lower()
                figures.save(picture, folder / f"traversal_{slug}.png")
            (codes,) = zoo.evaluation.encode(model, test)
            scores = zoo.evaluation.disentanglement(codes, data.factors["test"])
            info = zoo.evaluation.information(model, test)
            results.append({"model": name, "seed": seed, **info, **scores})
            write_json(file, results)
    Console().print(table(results, f"{len(test)} test images"))


def fit(objective, images: np.ndarray, seed: int, epochs: int) -> zoo.VAE:
    """A trained model of the images."""
    keras.utils.set_random_seed(seed)
    model = zoo.VAE(
        zoo.networks.conv_encoder(SHAPE, FILTERS),
        zoo.networks.conv_decoder(LATENT_DIM, SHAPE, FILTERS[::-1]),
        LATENT_DIM,
        objective=objective,
        seed=seed,
    )
    steps = datasets.steps_per_epoch(images, BATCH_SIZE)
    rate = keras.optimizers.schedules.CosineDecay(1e-3, epochs * steps, alpha=0.01)
    model.compile(keras.optimizers.Adam(rate))
    batches = datasets.stream(images, BATCH_SIZE, seed=seed)
    model.fit(batches, steps_per_epoch=steps, epochs=epochs, verbose=2)
    return model


def table(results: list[dict], images: str) -> Table:
    """A column for each model: the median over its seeds, and the range below it."""
    models = {name: [r for r in results if r["model"] == name] for name in MODELS}
    title = f"Sprites, {images}, {SEEDS} seeds: median and range; dSprites: published"
    result = Table(title=title, show_lines=True)
    result.add_column("")
    for name in (*models, *(f"{name}\n(dSprites)" for name in PUBLISHED)):
        result.add_column(name, justify="right")
    for score, heading in SCORES.items():
        cells = [spread([row[score] for row in rows]) for rows in models.values()]
        known = [published.get(score) for published in PUBLISHED.values()]
        cells += ["" if value is None else f"{value:.2f}" for value in known]
        result.add_row(heading, *cells)
    for heading, value in (
        ("active units", lambda row: row["active_units"][0]),
        ("-ELBO, nats", lambda row: -row["elbo"]),
    ):
        cells = [spread([value(row) for row in rows]) for rows in models.values()]
        result.add_row(heading, *cells)
    return result


def spread(values: list[float]) -> str:
    """The median, and below it the range, in three digits."""
    return f"{np.median(values):.3g}\n{min(values):.3g} to {max(values):.3g}"
