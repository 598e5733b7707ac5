"""Hierarchical VAE with bottom-up inference, the plain way, as a foil to the ladder.

The layers of ladder_vae_mnist, without its batch normalisation and warm-up: the rates
of the upper layers are expected to vanish.

Training: Adam, 2e-3 falling to 2e-5 by a cosine; batches of 256.
"""

import keras

import zoo
from recipes import datasets, publish
from recipes.runs import Run

EPOCHS = 20


def train(run: Run) -> None:
    data = datasets.load("mnist")
    shape, latent_dim, batch_size = (28, 28, 1), 64, 256
    steps = datasets.steps_per_epoch(data.train, batch_size)
    model = zoo.HierarchicalVAE(
        zoo.networks.dense_encoder(shape, (512, 512), "leaky_relu"),
        zoo.networks.dense_decoder(latent_dim, shape, (512, 512), "leaky_relu"),
        latent_dim,
        upper_dims=(32, 16, 8, 4),
        upper_units=(256, 128, 64, 32),
        batch_norm=False,
        seed=run.seed,
    )
    rate = keras.optimizers.schedules.CosineDecay(2e-3, run.epochs * steps, alpha=0.01)
    model.compile(keras.optimizers.Adam(rate))
    model = run.fit(model, data, batch_size=batch_size, binarise=True)
    publish.publish(run, model, data, about=__doc__, binarise=True)
