"""Glow of two scales and sixteen steps in all on 8-bit grey MNIST.

Each importance sample of its NLL draws the noise within the levels once; few are
enough, `--samples 10`. Glow-type flows of the literature are near 1.05 bits per
dimension, after far longer training.

Training: Adam, rising to 1e-3 in 500 steps and falling to 2e-5 by a cosine; batches of
128; gradients clipped at a norm of 100.
"""

import keras

import zoo
from recipes import datasets, publish
from recipes.runs import Run

EPOCHS = 20


def train(run: Run) -> None:
    data = datasets.load("mnist")
    batch_size = 128
    glow = zoo.Glow((28, 28, 1), scales=2, steps=8, units=64, seed=run.seed)
    first = datasets.stream(data.train, 512, seed=run.seed)
    zoo.networks.initialise(glow, next(iter(first)))
    steps = run.epochs * datasets.steps_per_epoch(data.train, batch_size)
    learning_rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps, alpha=0.02, warmup_target=1e-3, warmup_steps=500
    )
    glow.compile(keras.optimizers.Adam(learning_rate, clipnorm=100.0))
    glow = run.fit(glow, data, batch_size=batch_size)
    publish.publish(run, glow, data, about=__doc__)
