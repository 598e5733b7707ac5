"""How the cost of a training step grows, as slopes in a log-log picture."""

from collections.abc import Sequence

import keras
import numpy as np
from matplotlib.figure import Figure
from rich.table import Table

import zoo
from benchmarks import models, protocol
from benchmarks.models import SHAPE, Trainer

RUNS = 3
IMAGES = 2_560
BATCH_SIZE = 128
SERIES = {  # name: sizes, and the model and the image size of one
    "samples K": ((1, 2, 4, 8, 16), lambda k: _dense(samples=k)),
    "latents D": ((8, 32, 128, 512), lambda d: _dense(d)),
    "flow steps": ((1, 2, 4, 8, 16), models.iaf),
    "ladder layers": ((2, 3, 4, 5), models.ladder),
    "image side": ((14, 28, 56), lambda side: zoo.VAE(*models.conv((side, side, 1)))),
}


def _dense(latent_dim: int = protocol.LATENT_DIM, samples: int = 1) -> zoo.VAE:
    objective = zoo.objectives.ELBO(num_samples=samples)
    return zoo.VAE(*models.dense(latent_dim), objective=objective)


def measure(images: np.ndarray) -> dict[str, dict]:
    """Milliseconds per step of every size of every series, in turns.

    Args:
        images: binary `[N, 28, 28, 1]`, uint8.

    Returns:
        Per series its sizes, all times, and the slope of their medians: cost grows as
        size to the power of the slope.
    """
    results = {}
    for name, (sizes, build) in SERIES.items():
        print(f"scaling: {name}")
        trainers = {}
        for size in sizes:
            model = build(size)
            model.compile(keras.optimizers.Adam(protocol.LEARNING_RATE))
            x = resized(images[:IMAGES], model.fields["x"].shape)
            trainers[size] = Trainer(model, x, BATCH_SIZE)
        speeds = models.images_per_second(trainers, RUNS)
        milliseconds = [[1e3 * BATCH_SIZE / v for v in speeds[size]] for size in sizes]
        results[name] = {
            "sizes": list(sizes),
            "milliseconds_per_step": milliseconds,
            "slope": slope(sizes, np.median(milliseconds, axis=1)),
        }
    return results


def slope(sizes: Sequence[int], costs: Sequence[float]) -> float:
    """The power of the size that fits the costs best, in the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])


def resized(images: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Images with fewer or more pixels by leaving some out, or repeating them."""
    if shape[0] < SHAPE[0]:
        step = SHAPE[0] // shape[0]
        return images[:, ::step, ::step]
    times = shape[0] // SHAPE[0]
    return images.repeat(times, axis=1).repeat(times, axis=2)


def table(results: dict[str, dict]) -> Table:
    result = Table(title="Training step of 128 images, ms: cost ~ size ^ slope")
    for column in ("size", "median ms", "slope"):
        result.add_column(column)
    for name, series in results.items():
        medians = np.median(series["milliseconds_per_step"], axis=1)
        pairs = zip(series["sizes"], medians)
        times = ", ".join(f"{size}: {median:.1f}" for size, median in pairs)
        result.add_row(name, times, f"{series['slope']:.2f}")
    return result


def draw(results: dict[str, dict]) -> Figure:
    figure = Figure(figsize=(6.4, 4.2), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    for name, result in results.items():
        medians = np.median(result["milliseconds_per_step"], axis=1)
        label = f"{name}: slope {result['slope']:.2f}"
        axes.loglog(result["sizes"], medians, "o-", label=label)
    axes.set(xlabel="size", ylabel="ms per training step of 128 images")
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    return figure
