"""Convolutional VAE with residual blocks on dynamically binarised MNIST.

A diagonal normal posterior over 32 latents and a Bernoulli likelihood, 128 epochs, with
`--dtype mixed_bfloat16` where the processor has units for it. The published
convolutional VAE with a diagonal posterior reaches a test NLL of 81.08 nats (128
importance samples; Kingma et al., 2016, table 1) after far longer training of a far
larger network.
"""

import keras

import zoo
from recipes import datasets, publish
from recipes.runs import Run

EPOCHS, BATCH_SIZE, LATENT_DIM = 128, 128, 32


def build(seed: int, **options) -> zoo.VAE:
    shape = (28, 28, 1)
    return zoo.VAE(
        zoo.networks.residual_encoder(shape),
        zoo.networks.residual_decoder(LATENT_DIM, shape),
        latent_dim=LATENT_DIM,
        seed=seed,
        **options,
    )


def train(run: Run) -> None:
    finish(run, build(run.seed), datasets.load("mnist"), about=__doc__)


def finish(run: Run, vae: zoo.VAE, data: datasets.Dataset, about: str) -> None:
    """Trains and publishes."""
    steps = run.epochs * datasets.steps_per_epoch(data.train, BATCH_SIZE)
    learning_rate = keras.optimizers.schedules.CosineDecay(1e-3, steps, alpha=0.01)
    vae.compile(keras.optimizers.Adam(learning_rate))
    vae = run.fit(vae, data, batch_size=BATCH_SIZE, binarise=True)
    publish.publish(run, vae, data, about=about, binarise=True)
