"""The common ground of the comparison: networks and data of Burda et al. (2016).

Two tanh layers of 200 units each way, 50 latents, MNIST binarised anew for every batch.
The paper trains for about 3280 epochs of batches of 20; these recipes for far fewer of
batches of 100, all alike, so that the variants can be compared with one another.
"""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

import zoo
from recipes import datasets, publish
from recipes.runs import Run

SHAPE = (28, 28, 1)
LATENT_DIM = 50
BATCH_SIZE = 100


def networks(
    latent_dim: int = LATENT_DIM, channels: int = 1
) -> tuple[keras.Model, ...]:
    """Encoder and decoder; `channels` parameters per pixel."""
    return (
        zoo.networks.dense_encoder(SHAPE, (200, 200), "tanh"),
        zoo.networks.dense_decoder(
            latent_dim, (*SHAPE[:2], channels), (200, 200), "tanh"
        ),
    )


def train(run: Run, build: Callable[[], zoo.VAE], about: str) -> Path:
    """Trains a model on dynamically binarised MNIST and publishes it.

    Args:
        run: the recipe's run.
        build: returns the model, uncompiled.
        about: what it is, for its card.
    """
    data = datasets.load("mnist")
    model = build()
    compile_cosine(model, run.epochs, data.train)
    model = run.fit(model, data, batch_size=BATCH_SIZE, binarise=True)
    return publish.publish(run, model, data, about=about, binarise=True)


def compile_cosine(model: zoo.VAE, epochs: int, images: np.ndarray) -> None:
    """Adam from 1e-3 down to 1e-5 along a cosine over all epochs of these images."""
    steps = epochs * datasets.steps_per_epoch(images, BATCH_SIZE)
    rate = keras.optimizers.schedules.CosineDecay(1e-3, steps, alpha=0.01)
    model.compile(keras.optimizers.Adam(rate))


def fit(
    model: zoo.VAE, run: Run, data: datasets.Dataset, *, binarise: bool = False
) -> None:
    """Trains one of a study's many models, without checkpoints."""
    compile_cosine(model, run.epochs, data.train)
    model.fit(
        datasets.stream(data.train, BATCH_SIZE, seed=run.seed, binarise=binarise),
        steps_per_epoch=datasets.steps_per_epoch(data.train, BATCH_SIZE),
        epochs=run.epochs,
        verbose=2,
    )
