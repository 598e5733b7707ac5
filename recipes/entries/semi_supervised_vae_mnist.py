"""M2: binarised MNIST with 100 labels, ten of each class, picked at random.

In training each labelled image comes a hundred times an epoch, so that a sixth of every
batch is labelled; the other images come once, without their labels. Test figures are of
images with their labels, log p(x, y); `accuracy` is the classifier's, which sees the
image alone. Published: 11.97 % (+- 1.71) test error of M2, and 3.33 % (+- 0.14) of
M1+M2, M2 on the codes of another VAE, over ten choices of the 100 labels (Kingma et
al., 2014, table 1).

Training: Adam, 1e-3 falling to 1e-5 by a cosine; batches of 120.
"""

import dataclasses

import keras
import numpy as np

import zoo
from recipes import datasets, publish
from recipes.runs import Run

EPOCHS = 20
LABELLED, TIMES = 10, 100  # images of each class, and how often each comes an epoch


def train(run: Run) -> None:
    data = datasets.load("mnist")
    shape, latent_dim, classes, batch_size = (28, 28, 1), 50, 10, 120
    features = zoo.networks.dense_encoder(shape, (500,), "softplus")
    model = zoo.SemiSupervisedVAE(
        zoo.networks.dense_encoder(shape, (500,), "softplus"),
        zoo.networks.dense_decoder(latent_dim + classes, shape, (500,), "softplus"),
        latent_dim,
        classes,
        keras.Sequential([features, keras.layers.Dense(classes)]),
        alpha=5.0,
        seed=run.seed,
    )
    few = with_few_labels(data, run.seed)
    steps = run.epochs * datasets.steps_per_epoch(few.train, batch_size)
    learning_rate = keras.optimizers.schedules.CosineDecay(1e-3, steps, alpha=0.01)
    model.compile(keras.optimizers.Adam(learning_rate))
    model = run.fit(model, few, batch_size=batch_size, binarise=True)
    publish.publish(run, model, data, about=__doc__, binarise=True)


def with_few_labels(data: datasets.Dataset, seed: int) -> datasets.Dataset:
    """The data set without its training labels, but for a few, which come often."""
    labels, rng = data.labels["train"], np.random.default_rng(seed)
    rows = [
        rng.choice(np.flatnonzero(labels == label), LABELLED, replace=False)
        for label in np.unique(labels)
    ]
    known = np.tile(np.concatenate(rows), TIMES)
    train = np.concatenate([data.train, data.train[known]])
    kept = np.concatenate([np.full(len(labels), -1), labels[known]])
    labels = {**data.labels, "train": kept}
    return dataclasses.replace(data, train=train, labels=labels)
