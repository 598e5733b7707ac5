"""The common ground of the hierarchical models: five layers, Sonderby et al. (2016)."""

from pathlib import Path

import keras

import zoo
from recipes import datasets, publish
from recipes.runs import Run

SHAPE = (28, 28, 1)
BATCH_SIZE = 256


def train(run: Run, cls: type[zoo.VAE], about: str, *, stabilised: bool) -> Path:
    """Trains a five-layer model on dynamically binarised MNIST and publishes it.

    Args:
        run: the recipe's run.
        cls: `LadderVAE` or `HierarchicalVAE`.
        about: what it is, for its card.
        stabilised: with batch normalisation, and a weight of the rate that rises over
            the first half of the training (the paper takes 200 of its 2000 epochs).
    """
    data = datasets.load("mnist")
    steps = datasets.steps_per_epoch(data.train, BATCH_SIZE)
    warm_up = zoo.schedules.Linear(0.0, 1.0, steps=run.epochs * steps // 2)
    model = cls(
        zoo.networks.dense_encoder(SHAPE, (512, 512), "leaky_relu", stabilised),
        zoo.networks.dense_decoder(64, SHAPE, (512, 512), "leaky_relu", stabilised),
        latent_dim=64,
        upper_dims=(32, 16, 8, 4),
        upper_units=(256, 128, 64, 32),
        batch_norm=stabilised,
        beta=warm_up if stabilised else 1.0,
        seed=run.seed,
    )
    rate = keras.optimizers.schedules.CosineDecay(2e-3, run.epochs * steps, alpha=0.01)
    model.compile(keras.optimizers.Adam(rate))
    model = run.fit(model, data, batch_size=BATCH_SIZE, binarise=True)
    if stabilised:
        stream = datasets.stream(data.train, BATCH_SIZE, seed=run.seed, binarise=True)
        zoo.evaluation.refresh_batch_norm(model, stream.take(steps))
    return publish.publish(run, model, data, about=about, binarise=True)
