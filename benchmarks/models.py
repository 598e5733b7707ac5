"""The zoo's models as the benchmark measures them, and the clock it measures with."""

import time

import keras
import numpy as np

import zoo
from benchmarks import protocol
from benchmarks.protocol import CONV_UNITS, FILTERS, LATENT_DIM, UNITS
from recipes import datasets

SHAPE = (28, 28, 1)


def dense(latent_dim: int = LATENT_DIM) -> tuple[keras.Model, keras.Model, int]:
    """Encoder, decoder and number of latents: what every model begins with."""
    return (
        zoo.networks.dense_encoder(SHAPE, UNITS),
        zoo.networks.dense_decoder(latent_dim, SHAPE, UNITS),
        latent_dim,
    )


def conv(shape=SHAPE) -> tuple[keras.Model, keras.Model, int]:
    return (
        zoo.networks.conv_encoder(shape, FILTERS, CONV_UNITS),
        zoo.networks.conv_decoder(LATENT_DIM, shape, FILTERS[::-1], CONV_UNITS),
        LATENT_DIM,
    )


def iaf(steps: int = protocol.IAF_STEPS) -> zoo.VAE:
    """With the peer's chain: plain steps, relu, no context, no weight normalisation."""
    posterior = zoo.IAFPosterior(
        LATENT_DIM,
        steps,
        protocol.IAF_UNITS,
        context_dim=0,
        gated=False,
        activation="relu",
        weight_norm=False,
    )
    return zoo.VAE(*dense(), posterior=posterior)


def ladder(layers: int = 5) -> zoo.LadderVAE:
    """The ladder of `ladder_vae_mnist`, cut to its lowest layers."""
    return zoo.LadderVAE(
        *dense(64),
        upper_dims=(32, 16, 8, 4)[: layers - 1],
        upper_units=(256, 128, 64, 32)[: layers - 1],
    )


class Trainer:
    """Times the last epoch of a `fit` on binary images.

    Args:
        model: compiled.
        images: binary `[N, H, W, C]`, uint8.
        batch_size: images in a step.
    """

    def __init__(self, model: zoo.VAE, images: np.ndarray, batch_size: int):
        self.model = model
        self.steps = datasets.steps_per_epoch(images, batch_size)
        self.batches = datasets.stream(images * np.uint8(255), batch_size, seed=0)
        self.images = self.steps * batch_size

    def __call__(self) -> float:
        """Seconds of the last epoch."""
        clock = Clock()
        self.model.fit(
            self.batches,
            steps_per_epoch=self.steps,
            epochs=protocol.EPOCHS,
            callbacks=[clock],
            verbose=0,
        )
        return clock.seconds


class Clock(keras.callbacks.Callback):
    """Seconds of the last epoch, from its first batch to its last step."""

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds = time.perf_counter() - self.started


def images_per_second(trainers: dict, runs: int) -> dict[str, list[float]]:
    """Runs every trainer once to warm up, then all of them in turns."""
    for trainer in trainers.values():
        trainer()
    speeds = {name: [] for name in trainers}
    for _ in range(runs):
        for name, trainer in trainers.items():
            speeds[name].append(trainer.images / trainer())
    return speeds
