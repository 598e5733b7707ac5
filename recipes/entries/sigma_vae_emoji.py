"""Sigma-VAE in colour: the emoji of Noto Color Emoji, 32 x 32.

Convolutions around 128 latents; sigma is the root of each batch's mean squared error,
so that nothing is tuned between distortion and rate. No skin tone or gender of a test
picture was seen in training. Its likelihoods are densities of pixels in [0, 1].

Training: Adam, 1e-3 falling to 1e-5 by a cosine; batches of 64.
"""

import keras

import zoo
from recipes import datasets, publish
from recipes.runs import Run

EPOCHS = 100


def train(run: Run) -> None:
    data = datasets.load("emoji")
    shape, latent_dim, batch_size = (32, 32, 3), 128, 64
    model = zoo.SigmaVAE(
        zoo.networks.conv_encoder(shape, filters=(32, 64, 128), units=256),
        zoo.networks.conv_decoder(latent_dim, shape, filters=(128, 64, 32), units=256),
        latent_dim,
        seed=run.seed,
    )
    steps = run.epochs * datasets.steps_per_epoch(data.train, batch_size)
    learning_rate = keras.optimizers.schedules.CosineDecay(1e-3, steps, alpha=0.01)
    model.compile(keras.optimizers.Adam(learning_rate))
    model = run.fit(model, data, batch_size=batch_size)
    publish.publish(run, model, data, about=__doc__)
