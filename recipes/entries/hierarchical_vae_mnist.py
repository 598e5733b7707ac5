"""Hierarchical VAE with bottom-up inference, otherwise as ladder_vae_mnist.

The counterpart that shows what the ladder cures: its upper layers fall silent.
"""

import zoo
from recipes import ladders

EPOCHS = 30


def train(run) -> None:
    ladders.train(run, zoo.HierarchicalVAE, about=__doc__)
