"""Likelihoods of grey MNIST: two densities, and two masses over sixteen levels.

The same networks but for the decoder's last layer. Continuous Bernoulli and normal are
densities of the values in [0, 1], categorical and logistic mixture masses of the values
rounded to sixteen levels: -ELBO is to be compared within a kind only. A study: it makes
a table and a picture, no entry.
"""

import dataclasses
import math

import keras
import numpy as np
from rich.console import Console
from rich.table import Table

import zoo
from recipes import datasets, figures
from recipes.runs import Run, evaluation_images, write_json

EPOCHS = 5
SHAPE, LATENT_DIM, BATCH_SIZE = (28, 28, 1), 40, 100
LEVELS = 16
LIKELIHOODS = {
    "density": {
        "continuous Bernoulli": zoo.ContinuousBernoulli,
        "normal, learned sigma": lambda: zoo.Normal("learned"),
    },
    "mass": {
        "categorical": lambda: zoo.Categorical(LEVELS),
        "5 logistics": lambda: zoo.DiscretisedLogistic(LEVELS, components=5),
    },
}


def train(run: Run) -> None:
    grey = datasets.load("mnist")
    data = {"density": grey, "mass": rounded(grey)}
    steps = datasets.steps_per_epoch(grey.train, BATCH_SIZE)
    total = run.epochs * steps
    results, rows = [], [evaluation_images(grey.test[:12], binarise=False)]
    for kind, likelihoods in LIKELIHOODS.items():
        test = evaluation_images(data[kind].test, binarise=False)
        for name, make in likelihoods.items():
            print(name)
            likelihood = make()
            params_shape = (28, 28, likelihood.params_per_channel)
            warm_up = zoo.schedules.Linear(0.0, 1.0, steps=max(1, total // 5))
            model = zoo.VAE(
                zoo.networks.dense_encoder(SHAPE, (300, 300)),
                zoo.networks.dense_decoder(LATENT_DIM, params_shape, (300, 300)),
                LATENT_DIM,
                likelihood=likelihood,
                objective=zoo.objectives.ELBO(beta=warm_up),
                seed=run.seed,
            )
            rate = keras.optimizers.schedules.CosineDecay(1e-3, total, alpha=0.01)
            model.compile(keras.optimizers.Adam(rate))
            batches = datasets.stream(data[kind].train, BATCH_SIZE, seed=run.seed)
            model.fit(batches, steps_per_epoch=steps, epochs=run.epochs, verbose=2)
            info = zoo.evaluation.information(model, test, batch_size=100)
            results.append({"likelihood": name, "kind": kind, **info})
            rows.append(model.sample(12, seed=0))
    write_json(run.folder / "results.json", results)
    folder = run.folder / "figures"
    folder.mkdir(exist_ok=True)
    labels = ["data", *(row["likelihood"] for row in results)]
    figures.save(figures.grid(rows, labels), folder / "samples.png")
    Console().print(table(results))


def rounded(data: datasets.Dataset) -> datasets.Dataset:
    """The images rounded to k / 15, as uint8."""
    step = 255 // (LEVELS - 1)
    splits = {
        name: (np.rint(getattr(data, name) / step) * step).astype(np.uint8)
        for name in ("train", "validation", "test")
    }
    return dataclasses.replace(data, **splits)


def table(results: list[dict]) -> Table:
    result = Table(title="Test images: a density and a mass are two units")
    for column in ("likelihood", "kind", "-ELBO, nats", "bits/dim", "rate"):
        result.add_column(column)
    for row in results:
        bits = -row["elbo"] / math.log(2) / math.prod(SHAPE)
        numbers = f"{-row['elbo']:.1f}", f"{bits:.3f}", f"{row['rate']:.1f}"
        result.add_row(row["likelihood"], row["kind"], *numbers)
    return result
