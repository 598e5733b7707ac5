"""Hierarchical VAE with the ladder's batch normalisation and warm-up.

Between hierarchical_vae_mnist and ladder_vae_mnist: what of the ladder's effect comes
from these two, and what from the way its posteriors are made.
"""

import zoo
from recipes import ladders

EPOCHS = 20


def train(run) -> None:
    ladders.train(run, zoo.HierarchicalVAE, about=__doc__, stabilised=True)
