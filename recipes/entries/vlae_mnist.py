"""VLAE of three levels of eight latents on dynamically binarised MNIST.

The picture of its levels varies one at a time; compare it with that of
ladder_vae_mnist, whose layers depend on one another. The paper has no likelihoods.
"""

import keras

import zoo
from recipes import datasets, publish
from recipes.runs import Run

EPOCHS = 100


def train(run: Run) -> None:
    data = datasets.load("mnist")
    vlae = zoo.VLAE(
        (28, 28, 1), latent_dims=(8, 8, 8), units=(512, 256, 128), seed=run.seed
    )
    vlae.compile(keras.optimizers.Adam(1e-3))
    vlae = run.fit(vlae, data, batch_size=128, binarise=True)
    publish.publish(run, vlae, data, about=__doc__, binarise=True)
