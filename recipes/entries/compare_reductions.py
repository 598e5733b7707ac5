"""PCA, autoencoder and VAE as dimensionality reductions of MNIST and Fashion-MNIST.

Grey images to 2, 8 and 32 numbers and back: the error of the way back, and how well a
nearest-neighbour and a linear classifier read the class off the codes. A study: it
makes a table and a picture, no entry. Fashion-MNIST is left out where there is none.
"""

import keras
import numpy as np
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import zoo
from recipes import datasets
from recipes.figures import latents
from recipes.runs import Run, evaluation_images, write_json

EPOCHS = 10
DATA = ("mnist", "fashion_mnist")
DIMENSIONS = (2, 8, 32)
SHAPE, BATCH_SIZE = (28, 28, 1), 100
PROBE = 10_000  # training images whose codes the classifiers learn from


def train(run: Run) -> None:
    results, codes, loaded = [], {}, {}
    for name in DATA:
        try:
            data = loaded[name] = datasets.load(name)
        except datasets.DatasetUnavailable as error:
            Console().print(f"{name} is left out. {error}")
            continue
        for dims in DIMENSIONS:
            for method, fit in METHODS.items():
                print(f"{name}, {dims} dimensions, {method}")
                encode, decode = fit(run, data, dims)
                scores, test_codes = judge(encode, decode, data)
                results.append(
                    {"data": name, "dimensions": dims, "method": method, **scores}
                )
                if dims == 2:
                    codes.setdefault(name, {})[method] = test_codes
    write_json(run.folder / "results.json", results)
    folder = run.folder / "figures"
    folder.mkdir(exist_ok=True)
    draw(codes, loaded).savefig(folder / "reduction.png")
    print_table(results)


def fit_pca(run, data, dims):
    x = evaluation_images(data.train, binarise=False).reshape(len(data.train), -1)
    pca = PCA(dims, random_state=run.seed).fit(x)
    return (
        lambda images: pca.transform(images.reshape(len(images), -1)),
        lambda z: pca.inverse_transform(z).reshape(-1, *SHAPE),
    )


def fit_network(cls, run, data, dims):
    """An autoencoder or a VAE with the same networks and training.

    Of a VAE's likelihood sigma is the error itself; an autoencoder's changes nothing.
    """
    likelihood = {"likelihood": zoo.Normal()} if cls is zoo.Autoencoder else {}
    model = cls(
        zoo.networks.dense_encoder(SHAPE, (200, 200), "tanh"),
        zoo.networks.dense_decoder(dims, SHAPE, (200, 200), "tanh"),
        dims,
        seed=run.seed,
        **likelihood,
    )
    steps = datasets.steps_per_epoch(data.train, BATCH_SIZE)
    rate = keras.optimizers.schedules.CosineDecay(1e-3, run.epochs * steps, alpha=0.01)
    model.compile(keras.optimizers.Adam(rate))
    batches = datasets.stream(data.train, BATCH_SIZE, seed=run.seed)
    model.fit(batches, steps_per_epoch=steps, epochs=run.epochs, verbose=2)
    return (
        lambda images: model.encode(images)[0].numpy(),
        lambda z: model.decode(z).numpy(),
    )


METHODS = {
    "PCA": fit_pca,
    "AE": lambda *args: fit_network(zoo.Autoencoder, *args),
    "sigma-VAE": lambda *args: fit_network(zoo.SigmaVAE, *args),
}


def judge(encode, decode, data) -> tuple[dict[str, float], np.ndarray]:
    """Test error per pixel and accuracies of classifiers on the codes."""
    train, test = (evaluation_images(x, False) for x in (data.train, data.test))
    z, z_test = encode(train[:PROBE]), encode(test)
    labels = data.labels["train"][:PROBE]
    probes = {
        "knn": KNeighborsClassifier(5),
        "linear": make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)),
    }
    scores = {
        name: float(probe.fit(z, labels).score(z_test, data.labels["test"]))
        for name, probe in probes.items()
    }
    error = np.square(decode(z_test) - test).mean(dtype=np.float64)
    return {"mse": float(error), **scores}, z_test


def draw(codes: dict[str, dict], loaded: dict[str, datasets.Dataset]) -> Figure:
    """Two-dimensional test codes by class: a row per data set, a column per method.

    A code far outside of all others would leave these no room: a few are not shown.
    """
    size = 9.6, 3.2 * len(codes)
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    panels = figure.subplots(len(codes), len(METHODS), squeeze=False)
    for row, (name, by_method) in zip(panels, codes.items()):
        labels, called = loaded[name].labels["test"][:3000], loaded[name].classes
        for axes, (method, z) in zip(row, by_method.items()):
            latents.scatter(axes, z[:3000], labels, called, size=2)
            low, high = np.percentile(z, [0.2, 99.8], axis=0)
            margin = 0.05 * (high - low)
            (left, bottom), (right, top) = low - margin, high + margin
            axes.set(xlim=(left, right), ylim=(bottom, top), xticks=[], yticks=[])
            axes.set_title(f"{method}, {name}")
        latents.class_legend(row[-1], scale=4)
    return figure


def print_table(results: list[dict]) -> None:
    table = Table(title="Test images: error per pixel, accuracy on the codes")
    for column in ("data", "dimensions", "method", "MSE", "5-NN", "linear"):
        table.add_column(column)
    for row in results:
        table.add_row(
            row["data"],
            str(row["dimensions"]),
            row["method"],
            f"{row['mse']:.4f}",
            f"{row['knn']:.3f}",
            f"{row['linear']:.3f}",
        )
    Console().print(table)
