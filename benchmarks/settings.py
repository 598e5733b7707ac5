"""What each setting gives: speed of a model's default training, and of every change."""

import statistics
from collections.abc import Callable

import keras
import numpy as np
from rich.table import Table

import zoo
from benchmarks import models, protocol
from benchmarks.models import Trainer
from recipes import datasets

RUNS = 3
MODELS: dict[str, Callable[[], zoo.VAE]] = {
    "dense": lambda: zoo.VAE(*models.dense()),
    "convolutional": lambda: zoo.VAE(*models.conv()),
    "IAF": models.iaf,
    "ladder": models.ladder,
}


class ArrayTrainer(Trainer):
    """Times `fit` on an array, through Keras' own pipeline."""

    def __init__(self, model, images, batch_size):
        super().__init__(model, images, batch_size)
        self.batches = images[: self.images].astype(np.float32)


class DiskTrainer(Trainer):
    """Times `fit` on images that are read and decoded meanwhile."""

    def __init__(self, model, images, batch_size):
        super().__init__(model, images, batch_size)
        self.batches = datasets.stream_from_disk("mnist", batch_size, seed=0)


def measure(images: np.ndarray) -> dict[str, dict[str, list[float]]]:
    """Images per second of every model under every setting, in turns.

    Args:
        images: binary `[N, 28, 28, 1]`, uint8.
    """
    results = {}
    for name, build in MODELS.items():
        count = protocol.CONV_IMAGES if name == "convolutional" else 12_800
        print(f"settings: {name}")
        trainers = variations(build, images[:count])
        results[name] = models.images_per_second(trainers, RUNS)
    return results


def variations(build: Callable[[], zoo.VAE], images: np.ndarray) -> dict[str, Trainer]:
    """The default, and the default with one setting changed."""
    default = trained(build, images)
    jit = default.model.jit_compile
    result = {
        f"default: XLA {'on' if jit else 'off'}, batch 128": default,
        f"XLA {'off' if jit else 'on'}": trained(build, images, jit_compile=not jit),
        "1 step per execution": trained(build, images, steps_per_execution=1),
        "batch 512": trained(build, images, batch_size=512),
        "fit on an array": trained(build, images, trainer=ArrayTrainer),
        "images from disk": trained(build, images, trainer=DiskTrainer),
    }
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        name = "mixed_bfloat16"
        result[name] = trained(build, images)
        result[f"{name}, batch 512"] = trained(build, images, batch_size=512)
        if jit:
            result[f"{name}, batch 512, XLA off"] = trained(
                build, images, batch_size=512, jit_compile=False
            )
    finally:
        keras.config.set_dtype_policy("float32")
    return result


def trained(build, images, batch_size=128, trainer=Trainer, **options) -> Trainer:
    model = build()
    model.compile(keras.optimizers.Adam(protocol.LEARNING_RATE), **options)
    return trainer(model, images, batch_size)


def table(results: dict[str, dict[str, list[float]]]) -> Table:
    """Images per second of each model's default, and every change as a ratio to it."""
    result = Table(title="Training: images/s of the default, ratios to it")
    result.add_column("setting")
    speeds = {name: {} for name in results}
    for name, runs in results.items():
        result.add_column(name, justify="right")
        for setting, values in runs.items():
            speeds[name][setting.split(":")[0]] = statistics.median(values)
    for setting in dict.fromkeys(key for speed in speeds.values() for key in speed):
        values = [speed.get(setting) for speed in speeds.values()]
        if setting == "default":
            cells = [f"{value:.0f}" for value in values]
        else:
            defaults = [speed["default"] for speed in speeds.values()]
            ratios = [
                v and f"{v / default:.2f}x" for v, default in zip(values, defaults)
            ]
            cells = [ratio or "-" for ratio in ratios]
        result.add_row(setting, *cells)
    return result
