"""BIVA of four layers, seven latents, on dynamically binarised MNIST.

A vector of 16 dimensions above maps of 7 x 7 with 8 channels and of 14 x 14 with 8 and
4, each map once inferred upwards and once downwards; weight-normalised residual blocks
of 32 channels and 2 free bits a latent. Published for six layers, dropout and far
longer training: test NLL 78.41 nats (1000 importance samples; Maaloe et al., 2019).

Training: Adamax, 2e-3 falling to 2e-5 by a cosine; batches of 128.
"""

import keras

import zoo
from recipes import datasets, publish
from recipes.runs import Run

EPOCHS = 38


def train(run: Run) -> None:
    data = datasets.load("mnist")
    shape, batch_size = (28, 28, 1), 128
    biva = zoo.BIVA(
        shape,
        top_down_dims=(4, 8, 8),
        bottom_up_dims=(4, 8, 8),
        top_dim=16,
        channels=32,
        strides=(2, 1, 2),
        objective=zoo.objectives.ELBO(free_bits=2.0),
        seed=run.seed,
    )
    first = datasets.stream(data.train, batch_size, seed=run.seed, binarise=True)
    zoo.networks.initialise(biva, next(iter(first)))
    steps = run.epochs * datasets.steps_per_epoch(data.train, batch_size)
    learning_rate = keras.optimizers.schedules.CosineDecay(2e-3, steps, alpha=0.01)
    biva.compile(keras.optimizers.Adamax(learning_rate), skip_non_finite=True)
    biva = run.fit(biva, data, batch_size=batch_size, binarise=True)
    publish.publish(run, biva, data, about=__doc__, binarise=True)
