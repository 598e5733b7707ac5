"""sigma-VAE on grey MNIST: the five ways to set the likelihood's scale, side by side.

Densities of grey values, in nats per image; not to be compared with binary images.
Published -ELBO, convolutional networks: unit variance 740.5, tuned beta -796, shared
sigma -896, per pixel -2895 (Rybkin et al., 2021, table 1). A study: it makes a table
and a picture, no entry.
"""

from rich.console import Console
from rich.table import Table

import zoo
from recipes import burda, datasets, figures
from recipes.runs import Run, evaluation_images, write_json

EPOCHS = 10
SIGMAS = (1.0, "learned", "optimal", "per_image", "per_pixel")


def train(run: Run) -> None:
    data = datasets.load("mnist")
    test = evaluation_images(data.test, binarise=False)
    results, rows = [], [test[:12]]
    for sigma in SIGMAS:
        print(f"sigma = {sigma}")
        model = zoo.SigmaVAE(
            *burda.networks(channels=2 if str(sigma).startswith("per_") else 1),
            burda.LATENT_DIM,
            sigma=sigma,
            seed=run.seed,
        )
        burda.fit(model, run, data)
        info = zoo.evaluation.information(model, test)
        results.append({"sigma": sigma, **info._asdict()})
        rows.append(model.reconstruct(test[:12]).numpy())
    write_json(run.folder / "results.json", results)
    folder = run.folder / "figures"
    folder.mkdir(exist_ok=True)
    labels = ["data", *map(str, SIGMAS)]
    figures.grid(rows, labels).savefig(folder / "reconstructions.png")
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
