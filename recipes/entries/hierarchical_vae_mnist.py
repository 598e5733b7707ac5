"""Hierarchical VAE with bottom-up inference, the plain way, as a foil to the ladder.

The layers of ladder_vae_mnist, without its batch normalisation and warm-up: the upper
layers fall silent, and the model is hardly more than one of two layers.
"""

import zoo
from recipes import ladders

EPOCHS = 20


def train(run) -> None:
    ladders.train(run, zoo.HierarchicalVAE, about=__doc__, stabilised=False)
