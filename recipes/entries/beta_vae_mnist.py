"""beta-VAE with beta = 4, otherwise as vae_mnist.

It trades likelihood for a smaller rate: its NLL is expected to be worse than the VAE's,
and its active units fewer.
"""

import zoo
from recipes import burda

EPOCHS = 100


def train(run) -> None:
    def build():
        return zoo.BetaVAE(*burda.networks(), burda.LATENT_DIM, beta=4.0, seed=run.seed)

    burda.train(run, build, about=__doc__)
