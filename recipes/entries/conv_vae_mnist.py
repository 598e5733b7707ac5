"""Convolutional VAE with residual blocks on dynamically binarised MNIST.

A diagonal normal posterior over 32 latents and a Bernoulli likelihood, 128 epochs, with
`--dtype mixed_bfloat16` where the processor has units for it. The published
convolutional VAE with a diagonal posterior reaches a test NLL of 81.08 nats (128
importance samples; Kingma et al., 2016, table 1) after far longer training of a far
larger network.

Training: Adam, 1e-3 falling to 1e-5 by a cosine; batches of 128.
"""

import keras

import zoo
from recipes import datasets, publish
from recipes.runs import Run

EPOCHS = 128


def build(seed: int) -> zoo.VAE:
    shape, latent_dim = (28, 28, 1), 32
    return zoo.VAE(
        zoo.networks.residual_encoder(shape),
        zoo.networks.residual_decoder(latent_dim, shape),
        latent_dim=latent_dim,
        seed=seed,
    )


def train(run: Run) -> None:
    data = datasets.load("mnist")
    vae, batch_size = build(run.seed), 128
    steps = run.epochs * datasets.steps_per_epoch(data.train, batch_size)
    learning_rate = keras.optimizers.schedules.CosineDecay(1e-3, steps, alpha=0.01)
    vae.compile(keras.optimizers.Adam(learning_rate))
    vae = run.fit(vae, data, batch_size=batch_size, binarise=True)
    publish.publish(run, vae, data, about=__doc__, binarise=True)
