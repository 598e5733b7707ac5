"""What many groups of latents cost: before the first step, in a step, in memory.

All as `fit` runs it with its default settings; NVAEs of 16 channels, and the paper's of
MNIST, whose graph and first step should take no more than three minutes and 12 GB.

python -m benchmarks.groups
"""

import concurrent.futures
import functools
import multiprocessing
import resource
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from matplotlib.figure import Figure

import zoo
from recipes import paper_sizes

GROUPS, SHAPE, BATCH_SIZE = (2, 5, 10, 20, 30), (32, 32, 1), 16
STEPS, EPOCHS = 5, 4
PICTURE = Path(__file__).with_name("groups.png")


def main() -> None:
    rows = []
    for count in GROUPS:
        options = {"latent_dim": 4, "channels": 16, "cells": 1}
        row = measure(functools.partial(zoo.NVAE, SHAPE, (count,), **options))
        rows.append({"groups": count, **row})
        report(rows[-1])
    names = "groups", "s of a step"
    groups, seconds = (np.array([row[name] for row in rows]) for name in names)
    slope, start = np.polyfit(groups, seconds, 1)
    off = np.abs((start + slope * groups) / seconds - 1).max()
    print(f"A step: {start:.3g} s and {slope:.3g} s a group; off by {off:.0%} at most")
    draw(rows).savefig(PICTURE)
    report({"the paper's": "MNIST", **measure(paper_sizes.nvae_mnist)})


def measure(make: Callable[[], zoo.NVAE]) -> dict[str, float]:
    """Seconds and GiB of a model that `make` makes, in a process of its own."""
    fresh = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, fresh) as pool:
        return pool.submit(measure_here, make).result()


def measure_here(make: Callable[[], zoo.NVAE]) -> dict[str, float]:
    started, clock = time.perf_counter(), Clock()
    model = make()
    model.compile(keras.optimizers.Adamax(1e-3))
    built = time.perf_counter()
    x = np.zeros([BATCH_SIZE * STEPS, *model.event_shape], "float32")
    options = {"epochs": EPOCHS, "verbose": 0, "callbacks": [clock]}
    model.fit(x, batch_size=BATCH_SIZE, **options)
    step = float(np.median(np.diff(clock.times))) / STEPS
    return {
        "s to build": built - started,
        "s to the first step": clock.times[0] - built - (STEPS - 1) * step,
        "s of a step": step,
        "GiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


class Clock(keras.callbacks.Callback):
    """When each epoch ended."""

    def __init__(self):
        super().__init__()
        self.times = []

    def on_epoch_end(self, epoch, logs=None):
        self.times.append(time.perf_counter())


def report(row: dict) -> None:
    values = (f"{v:.4g}" if isinstance(v, float) else v for v in row.values())
    print(", ".join(f"{name} {value}" for name, value in zip(row, values)), flush=True)


def draw(rows: list[dict[str, float]]) -> Figure:
    """One panel each of what comes before training, of a step and of memory."""
    figure = Figure(figsize=(9, 2.8), dpi=150, layout="constrained")
    groups = [row["groups"] for row in rows]
    panels = (
        ("seconds at first", ("s to build", "s to the first step")),
        (f"seconds of a step, batch {BATCH_SIZE}", ("s of a step",)),
        ("memory at most, GiB", ("GiB",)),
    )
    for axes, (title, names) in zip(figure.subplots(1, len(panels)), panels):
        for name in names:
            axes.plot(groups, [row[name] for row in rows], "o-", label=name)
        axes.set(title=title, xlabel="groups", ylim=(0, None))
    figure.axes[0].legend(frameon=False)
    return figure


if __name__ == "__main__":
    main()
