"""Conditional VAE on dynamically binarised MNIST with its labels.

The layers of vae_mnist, in batches of 100, with the label beside the encoder's features
and beside z. Its likelihoods are of an image given its label: a label is worth log 10 =
2.30 nats to a model that knows it. The columns of its samples are the classes.

Training: Adam, 1e-3 falling to 1e-5 by a cosine; batches of 100.
"""

import keras

import zoo
from recipes import datasets, publish
from recipes.runs import Run

EPOCHS = 50


def train(run: Run) -> None:
    data = datasets.load("mnist")
    shape, latent_dim, classes, batch_size = (28, 28, 1), 50, 10, 100
    model = zoo.ConditionalVAE(
        zoo.networks.dense_encoder(shape, (200, 200), "tanh"),
        zoo.networks.dense_decoder(latent_dim + classes, shape, (200, 200), "tanh"),
        latent_dim,
        classes,
        seed=run.seed,
    )
    steps = run.epochs * datasets.steps_per_epoch(data.train, batch_size)
    learning_rate = keras.optimizers.schedules.CosineDecay(1e-3, steps, alpha=0.01)
    model.compile(keras.optimizers.Adam(learning_rate))
    model = run.fit(model, data, batch_size=batch_size, binarise=True)
    publish.publish(run, model, data, about=__doc__, binarise=True)
