"""sigma-VAE on grey MNIST: the five ways to set the likelihood's scale, side by side.

Densities of grey values, in nats per image; not to be compared with binary images.
Convolutional networks and 20 latents, as in the authors' examples, and dense ones with
50; 30 epochs, as ten, which are those examples' (github.com/orybkin/sigma-vae-pytorch),
were too few for a learned sigma, on training images and in this table. Published -ELBO:
unit variance 740.5, tuned beta -796, shared sigma -896, per pixel -2895 (Rybkin et al.,
2021, table 1; how long these trained was not found). A study: it makes a table and
pictures, no entry. Killed, it goes on with the next networks.
"""

import json

import keras
from rich.console import Console
from rich.table import Table

import zoo
from recipes import datasets, figures
from recipes.runs import Run, evaluation_images, write_json

EPOCHS = 30
SHAPE, BATCH_SIZE = (28, 28, 1), 128
SIGMAS = (1.0, "learned", "optimal", "per_image", "per_pixel")


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
            model = fit(build, sigma, data, run)
            info = zoo.evaluation.information(model, test)
            row = {"networks": networks, "sigma": sigma, "epochs": run.epochs, **info}
            results.append(row)
            rows.append(model.reconstruct(test[:12]).numpy())
        labels = ["data", *map(str, SIGMAS)]
        picture = figures.grid(rows, labels)
        figures.save(picture, folder / f"reconstructions_{networks}.png")
        write_json(file, results)
    print_table(results)


def convolutional(channels: int) -> tuple[keras.Model, keras.Model, int]:
    """Encoder, decoder and how many latents they have between them."""
    decoder = zoo.networks.conv_decoder(20, (*SHAPE[:2], channels))
    return zoo.networks.conv_encoder(SHAPE), decoder, 20


def dense(channels: int) -> tuple[keras.Model, keras.Model, int]:
    shape, units = (*SHAPE[:2], channels), (200, 200)
    decoder = zoo.networks.dense_decoder(50, shape, units, "tanh")
    return zoo.networks.dense_encoder(SHAPE, units, "tanh"), decoder, 50


def fit(build, sigma, data: datasets.Dataset, run: Run) -> zoo.SigmaVAE:
    """A trained model with this scale."""
    keras.utils.set_random_seed(run.seed)  # so that a killed study goes on as it was
    parts = build(channels=2 if str(sigma).startswith("per_") else 1)
    model = zoo.SigmaVAE(*parts, sigma=sigma, seed=run.seed)
    steps = datasets.steps_per_epoch(data.train, BATCH_SIZE)
    rate = keras.optimizers.schedules.CosineDecay(1e-3, run.epochs * steps, alpha=0.01)
    model.compile(keras.optimizers.Adam(rate))
    batches = datasets.stream(data.train, BATCH_SIZE, seed=run.seed)
    model.fit(batches, steps_per_epoch=steps, epochs=run.epochs, verbose=2)
    return model


def print_table(results: list[dict]) -> None:
    table = Table(title="Test images, nats per image (densities), one draw of z each")
    table.add_column("networks")
    for column in ("sigma", "-ELBO", "rate", "distortion", "active units"):
        table.add_column(column, justify="right")
    for row in results:
        table.add_row(
            row["networks"],
            str(row["sigma"]),
            f"{-row['elbo']:.1f}",
            f"{row['rate']:.1f}",
            f"{row['distortion']:.1f}",
            str(row["active_units"][0]),
        )
    Console().print(table)
