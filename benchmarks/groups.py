"""What many groups of latents cost: before the first step, in a step, in memory.

python -m benchmarks.groups
"""

import resource
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

import zoo

GROUPS, SHAPE, BATCH_SIZE, ROUNDS = (2, 5, 10, 20, 30), (32, 32, 1), 16, 5
PICTURE = Path(__file__).with_name("groups.png")


def main() -> None:
    rows = []
    for count in GROUPS:  # in rising order, as memory is the peak so far
        rows.append(measure(count))
        print(", ".join(f"{name} {value:.4g}" for name, value in rows[-1].items()))
    draw(rows).savefig(PICTURE)


def measure(count: int) -> dict[str, float]:
    """Seconds, operations and GiB of an NVAE of so many groups, as `fit` runs it."""
    x = tf.zeros([BATCH_SIZE, *SHAPE])
    started = time.perf_counter()
    model = zoo.NVAE(SHAPE, (count,), latent_dim=4, channels=16, cells=1)
    model.compile(keras.optimizers.Adamax(1e-3))
    built = time.perf_counter()
    step = tf.function(lambda: model.train_step((x,)), autograph=False)
    graph = step.get_concrete_function().graph.as_graph_def()
    traced, seconds = time.perf_counter(), []
    for _ in range(1 + ROUNDS):
        before = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - before)
    functions = graph.library.function
    return {
        "groups": count,
        "operations": len(graph.node) + sum(len(f.node_def) for f in functions),
        "s to build": built - started,
        "s to trace": traced - built,
        "s of the first step": seconds[0],
        "s of a later step": float(np.median(seconds[1:])),
        "GiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def draw(rows: list[dict[str, float]]) -> Figure:
    """One panel each of what comes before training, of a step and of memory."""
    figure = Figure(figsize=(9, 2.8), dpi=150, layout="constrained")
    groups = [row["groups"] for row in rows]
    panels = (
        ("seconds before", ("s to build", "s to trace", "s of the first step")),
        (f"seconds of a step, batch {BATCH_SIZE}", ("s of a later step",)),
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
