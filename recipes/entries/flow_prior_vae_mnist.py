"""VAE with a RealNVP prior of six couplings, otherwise as normal_prior_vae_mnist.

The prior starts as the standard normal and learns where the codes go.
"""

import zoo
from recipes import tomczak

EPOCHS = 30


def train(run) -> None:
    prior = zoo.FlowPrior(tomczak.LATENT_DIM, layers=6, units=128)
    tomczak.train(run, prior, about=__doc__)
