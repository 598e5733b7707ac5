"""The common ground of the priors: networks as large as Tomczak & Welling's (2018).

Two layers of 300 rectifiers each way, 40 latents, MNIST binarised anew for every batch
of 100, and a weight of the rate that rises over the first fifth of the training. Under
a learned prior it costs nothing at first to leave all codes alike; without that warm-up
they stay so.
"""

from pathlib import Path

import keras

import zoo
from recipes import burda, datasets
from recipes.runs import Run
from zoo.priors import Prior

LATENT_DIM = 40


def networks(channels: int = 1) -> tuple[keras.Model, keras.Model, int]:
    """Encoder, decoder of `channels` values per pixel, and the number of latents."""
    pixels = (*burda.SHAPE[:2], channels)
    return (
        zoo.networks.dense_encoder(burda.SHAPE, (300, 300)),
        zoo.networks.dense_decoder(LATENT_DIM, pixels, (300, 300)),
        LATENT_DIM,
    )


def warm_up(run: Run, data: datasets.Dataset, beta: float = 1.0):
    """Schedule from 0 to `beta` over the first fifth of the run."""
    steps = run.epochs * datasets.steps_per_epoch(data.train, burda.BATCH_SIZE)
    return zoo.schedules.Linear(0.0, beta, steps=max(1, steps // 5))


def train(run: Run, prior: Prior, about: str) -> Path:
    """Trains a VAE with this prior on dynamically binarised MNIST and publishes it."""
    beta = warm_up(run, datasets.load("mnist"))

    def build():
        return zoo.VAE(*networks(), prior=prior, beta=beta, seed=run.seed)

    return burda.train(run, build, about)
