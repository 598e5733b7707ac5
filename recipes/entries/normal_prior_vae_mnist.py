"""VAE with a standard normal prior and a warm-up: the yardstick of the learned priors.

Otherwise as flow_prior_vae_mnist and vamp_prior_vae_mnist.
"""

import zoo
from recipes import tomczak

EPOCHS = 30


def train(run) -> None:
    tomczak.train(run, zoo.StandardNormal(tomczak.LATENT_DIM), about=__doc__)
