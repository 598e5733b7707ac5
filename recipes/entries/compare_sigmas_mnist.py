"""sigma-VAE on grey MNIST: the five ways to set the likelihood's scale, side by side.

Densities of grey values, in nats per image; not to be compared with binary images.
Convolutional networks and 20 latents, as in the authors' examples, and dense ones with
50. Of 60 epochs, an hour and a half of one core, the one with the best bound on
held-out images is kept; those examples train for ten
(github.com/orybkin/sigma-vae-pytorch). Published -ELBO: unit variance 740.5, tuned beta
-796, shared sigma -896, per pixel -2895 (Rybkin et al., 2021, table 1; how long these
trained was not found). A study: it makes a table and pictures, no entry. Killed, it
goes on with the next networks.
"""

import json

import keras
import tensorflow as tf
from rich.console import Console
from rich.table import Table

import zoo
from recipes import datasets, figures
from recipes.runs import Run, evaluation_images, write_json

EPOCHS = 60
SHAPE, BATCH_SIZE = (28, 28, 1), 128
SIGMAS = (1, "learned", "optimal", "per_image", "per_pixel")


def train(run: Run) -> None:
    data = datasets.load("mnist")
    test = evaluation_images(data.test, binarise=False)
    folder, file = run.folder / "figures", run.folder / "results.json"
    folder.mkdir(exist_ok=True)
    results = json.loads(file.read_text()) if file.exists() else []
    for networks, build in {"convolutional": convolutional, "dense": dense}.items():
        if networks in {row["networks"] for row in results}:
            continue
        rows = [test[:12]]
        for sigma in SIGMAS:
            print(f"{networks}, sigma = {sigma}")
            model, kept = fit(build, sigma, data, run)
            info = zoo.evaluation.information(model, test)
            results.append({"networks": networks, "sigma": sigma, **info, **kept})
            rows.append(model.reconstruct(test[:12]).numpy())
        labels = ["data", *map(name, SIGMAS)]
        picture = figures.grid(rows, labels)
        figures.save(picture, folder / f"reconstructions_{networks}.png")
        write_json(file, results)
    picture = figures.compared(curves(results), "-ELBO, nats per image")
    figures.save(picture, folder / "held_out.png")
    print_table(results)


def convolutional(channels: int) -> tuple[keras.Model, keras.Model, int]:
    """Encoder, decoder and how many latents they have between them."""
    decoder = zoo.networks.conv_decoder(20, (*SHAPE[:2], channels))
    return zoo.networks.conv_encoder(SHAPE), decoder, 20


def dense(channels: int) -> tuple[keras.Model, keras.Model, int]:
    shape, units = (*SHAPE[:2], channels), (200, 200)
    decoder = zoo.networks.dense_decoder(50, shape, units, "tanh")
    return zoo.networks.dense_encoder(SHAPE, units, "tanh"), decoder, 50


def fit(build, sigma, data: datasets.Dataset, run: Run) -> tuple[zoo.SigmaVAE, dict]:
    """The model of the best epoch on held-out images, and their ELBO after each."""
    keras.utils.set_random_seed(run.seed)  # so that a killed study goes on as it was
    parts = build(channels=2 if str(sigma).startswith("per_") else 1)
    model = zoo.SigmaVAE(*parts, sigma=sigma, seed=run.seed)
    steps = datasets.steps_per_epoch(data.train, BATCH_SIZE)
    rate = keras.optimizers.schedules.CosineDecay(1e-3, run.epochs * steps, alpha=0.01)
    model.compile(keras.optimizers.Adam(rate))
    held_out = evaluation_images(data.validation, binarise=False)
    best = keras.callbacks.EarlyStopping(
        "val_elbo", mode="max", patience=run.epochs, restore_best_weights=True
    )
    history = model.fit(
        datasets.stream(data.train, BATCH_SIZE, seed=run.seed),
        steps_per_epoch=steps,
        epochs=run.epochs,
        validation_data=tf.data.Dataset.from_tensor_slices(held_out).batch(500),
        callbacks=[best],
        verbose=2,
    )
    elbos = [round(elbo, 1) for elbo in history.history["val_elbo"]]
    return model, {"epoch": best.best_epoch + 1, "val_elbo": elbos}


def name(sigma: int | str) -> str:
    return str(sigma).replace("_", " ")


def curves(results: list[dict]) -> dict[str, dict[str, list[float]]]:
    """-ELBO of held-out images by epoch: of each sigma, by networks."""
    panels = {}
    for row in results:
        panel = panels.setdefault(f"sigma: {name(row['sigma'])}", {})
        panel[row["networks"]] = [-elbo for elbo in row["val_elbo"]]
    return panels


def print_table(results: list[dict]) -> None:
    table = Table(title="Test images, nats per image (densities), one draw of z each")
    table.add_column("networks")
    for column in ("sigma", "-ELBO", "rate", "distortion", "active units", "epoch"):
        table.add_column(column, justify="right")
    for row in results:
        table.add_row(
            row["networks"],
            name(row["sigma"]),
            f"{-row['elbo']:.1f}",
            f"{row['rate']:.1f}",
            f"{row['distortion']:.1f}",
            str(row["active_units"][0]),
            str(row["epoch"]),
        )
    Console().print(table)
