"""Hierarchical VAE with bottom-up inference, the plain way, as a foil to the ladder.

The layers of ladder_vae_mnist, without its batch normalisation and warm-up: the rates
of the upper layers are expected to vanish.
"""

import zoo
from recipes import ladders

EPOCHS = 20


def train(run) -> None:
    ladders.train(run, zoo.HierarchicalVAE, about=__doc__, stabilised=False)
