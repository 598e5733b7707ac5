"""VAE with a RealNVP prior of six couplings, otherwise as vae_mnist.

The prior starts as the standard normal and learns where the codes go.
"""

import zoo
from recipes import burda

EPOCHS = 100


def train(run) -> None:
    def build():
        prior = zoo.FlowPrior(burda.LATENT_DIM, layers=6, units=128)
        return zoo.VAE(*burda.networks(), burda.LATENT_DIM, prior=prior, seed=run.seed)

    burda.train(run, build, about=__doc__)
