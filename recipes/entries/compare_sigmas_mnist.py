"""sigma-VAE on grey MNIST: the five ways to set the likelihood's scale, side by side.

Densities of grey values, in nats per image; not to be compared with binary images.
Convolutional networks and 20 latents, as in the authors' examples, which train for ten
epochs (github.com/orybkin/sigma-vae-pytorch). Published -ELBO: unit variance 740.5,
tuned beta -796, shared sigma -896, per pixel -2895 (Rybkin et al., 2021, table 1; how
long these trained was not found). A study: it makes a table and a picture, no entry.
"""

import keras
from rich.console import Console
from rich.table import Table

import zoo
from recipes import datasets, figures
from recipes.runs import Run, evaluation_images, write_json

EPOCHS = 10
SHAPE, LATENT_DIM, BATCH_SIZE = (28, 28, 1), 20, 128
SIGMAS = (1.0, "learned", "optimal", "per_image", "per_pixel")


def train(run: Run) -> None:
    data = datasets.load("mnist")
    test = evaluation_images(data.test, binarise=False)
    steps = datasets.steps_per_epoch(data.train, BATCH_SIZE)
    results, rows = [], [test[:12]]
    for sigma in SIGMAS:
        print(f"sigma = {sigma}")
        channels = 2 if str(sigma).startswith("per_") else 1
        model = zoo.SigmaVAE(
            zoo.networks.conv_encoder(SHAPE),
            zoo.networks.conv_decoder(LATENT_DIM, (*SHAPE[:2], channels)),
            LATENT_DIM,
            sigma=sigma,
            seed=run.seed,
        )
        total = run.epochs * steps
        rate = keras.optimizers.schedules.CosineDecay(1e-3, total, alpha=0.01)
        model.compile(keras.optimizers.Adam(rate))
        batches = datasets.stream(data.train, BATCH_SIZE, seed=run.seed)
        model.fit(batches, steps_per_epoch=steps, epochs=run.epochs, verbose=2)
        info = zoo.evaluation.information(model, test)
        results.append({"sigma": sigma, **info})
        rows.append(model.reconstruct(test[:12]).numpy())
    write_json(run.folder / "results.json", results)
    folder = run.folder / "figures"
    folder.mkdir(exist_ok=True)
    labels = ["data", *map(str, SIGMAS)]
    figures.save(figures.grid(rows, labels), folder / "reconstructions.png")
    print_table(results)


def print_table(results: list[dict]) -> None:
    table = Table(title="Test images, nats per image (densities), one draw of z each")
    for column in ("sigma", "-ELBO", "rate", "distortion", "active units"):
        table.add_column(column, justify="right")
    for row in results:
        table.add_row(
            str(row["sigma"]),
            f"{-row['elbo']:.1f}",
            f"{row['rate']:.1f}",
            f"{row['distortion']:.1f}",
            str(row["active_units"][0]),
        )
    Console().print(table)
