"""beta-VAE on binary MNIST with 12 and with 128 latents: what beta buys and costs.

beta is the price of a nat of rate. A high one leaves few latents that matter, and pays
in distortion: reconstructions lose detail. beta = 1 is the VAE, the only one that
minimises rate + distortion = -ELBO. beta is warmed up over the first fifth of training;
latents that are not worth their price die slowly, and ten epochs are few for 128. A
study: it makes a table and pictures, no entry.
"""

import keras
import numpy as np
from rich.console import Console
from rich.table import Table

import zoo
from recipes import datasets, figures
from recipes.runs import Run, evaluation_images, write_json

EPOCHS = 10
SHAPE, BATCH_SIZE = (28, 28, 1), 128
LATENT_DIMS = (12, 128)
BETAS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
COLUMNS = ("", "", "reconstructed", "", "", "", "", "", "samples", "", "", "")
TRAVERSED = 4.0  # the beta whose latents are drawn


def train(run: Run) -> None:
    data = datasets.load("mnist")
    test = evaluation_images(data.test, binarise=True)
    folder = run.folder / "figures"
    folder.mkdir(exist_ok=True)
    results = []
    for latent_dim in LATENT_DIMS:
        blank = np.ones_like(test[:6])  # samples are of no image
        made = {"data": np.concatenate([test[:6], blank])}
        for beta in BETAS:
            print(f"{latent_dim} latents, beta {beta:g}")
            model = fit(run, data, latent_dim, beta)
            info = zoo.evaluation.information(model, test)
            results.append({"latents": latent_dim, "beta": beta, **info})
            sides = model.reconstruct(test[:6]), model.sample(6, seed=0)
            made[f"beta {beta:g}"] = np.concatenate(sides)
            if beta == TRAVERSED:
                moved = figures.traversal(model, test[:1000])
                figures.save(moved, folder / f"traversal_{latent_dim}.png")
        images = figures.grid(list(made.values()), list(made), COLUMNS)
        figures.save(images, folder / f"images_{latent_dim}.png")
    write_json(run.folder / "results.json", results)
    curve = figures.rate_distortion(curves(results))
    figures.save(curve, folder / "rate_distortion.png")
    Console().print(table(results))


def fit(run: Run, data: datasets.Dataset, latent_dim: int, beta: float) -> zoo.BetaVAE:
    keras.utils.set_random_seed(run.seed)
    steps = datasets.steps_per_epoch(data.train, BATCH_SIZE)
    total = run.epochs * steps
    model = zoo.BetaVAE(
        zoo.networks.dense_encoder(SHAPE, (256, 256)),
        zoo.networks.dense_decoder(latent_dim, SHAPE, (256, 256)),
        latent_dim,
        beta=zoo.schedules.Linear(0.0, beta, steps=max(1, total // 5)),
        seed=run.seed,
    )
    rate = keras.optimizers.schedules.CosineDecay(1e-3, total, alpha=0.01)
    model.compile(keras.optimizers.Adam(rate))
    batches = datasets.stream(data.train, BATCH_SIZE, seed=run.seed, binarise=True)
    model.fit(batches, steps_per_epoch=steps, epochs=run.epochs, verbose=2)
    return model


def curves(results: list[dict]) -> dict[str, list[tuple[float, float, float]]]:
    """Points (beta, rate, distortion) by number of latents."""
    points = {}
    for row in results:
        point = row["beta"], row["rate"], row["distortion"]
        points.setdefault(f"{row['latents']} latents", []).append(point)
    return points


def table(results: list[dict]) -> Table:
    result = Table(title="Test images, nats, one draw of z each")
    for column in ("latents", "beta", "-ELBO", "rate", "distortion", "active units"):
        result.add_column(column, justify="right")
    for row in results:
        numbers = (-row["elbo"], row["rate"], row["distortion"])
        result.add_row(
            str(row["latents"]),
            f"{row['beta']:g}",
            *(f"{number:.2f}" for number in numbers),
            str(row["active_units"][0]),
        )
    return result
