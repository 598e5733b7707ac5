"""NVAE with the paper's depthwise cells and with plain ones, trained equally long.

Both take turns of 50 steps until each has had its minutes, and are judged on validation
images: which cells make the better model in a given time on this machine? The 50 steps
before, in which TensorFlow compiles, are not counted.

python -m benchmarks.cells
"""

import time

import keras
from rich.console import Console
from rich.table import Table

import zoo
import zoo.evaluation
from benchmarks import quality
from recipes import datasets

KINDS = "plain", "depthwise"
MINUTES, TURN, BATCH_SIZE = 3.0, 50, 128
HELD_OUT = 1000


def main() -> None:
    data = datasets.load("mnist")
    held_out = datasets.binarise(data.validation[:HELD_OUT])
    models = {kind: build(kind) for kind in KINDS}
    seconds, turns = dict.fromkeys(KINDS, 0.0), dict.fromkeys(KINDS, 0)
    for model in models.values():
        model.fit(batches(data, 0), steps_per_epoch=TURN, verbose=0)  # compiles
    while min(seconds.values()) < 60 * MINUTES:
        kind = min(seconds, key=seconds.get)
        turns[kind] += 1
        started = time.perf_counter()
        options = {"steps_per_epoch": TURN, "verbose": 0}
        models[kind].fit(batches(data, turns[kind]), **options)
        seconds[kind] += time.perf_counter() - started
    table = Table(title=f"After {MINUTES:g} minutes each, validation images, nats")
    for column in ("cells", "parameters", "steps", "images/s", "-ELBO", "NLL [100]"):
        table.add_column(column, justify="right")
    for kind, model in models.items():
        zoo.evaluation.refresh_batch_norm(model, batches(data, 0).take(100))
        elbo = zoo.evaluation.information(model, held_out)["elbo"]
        steps = TURN * turns[kind]
        row = model.count_params(), steps, round(steps * BATCH_SIZE / seconds[kind])
        nll = quality.nll(model, held_out)
        table.add_row(kind, *map(str, row), f"{-elbo:.2f}", f"{nll:.2f}")
    Console().print(table)


def build(kind: str) -> zoo.NVAE:
    """The networks of `nvae_mnist`, with cells of a kind."""
    keras.utils.set_random_seed(0)
    options = {"latent_dim": 4, "channels": 32, "cells": 1, "outer_cells": (1, 1)}
    model = zoo.NVAE((28, 28, 1), groups=(4, 3), kind=kind, **options)
    model.compile(keras.optimizers.Adamax(2e-3), skip_non_finite=True)
    return model


def batches(data: datasets.Dataset, turn: int):
    """The images of a turn, in an order of their own."""
    return datasets.stream(
        data.train, BATCH_SIZE, seed=0, binarise=True, start_epoch=turn
    )


if __name__ == "__main__":
    main()
