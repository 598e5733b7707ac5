"""IAF-VAE with four gated steps, otherwise as vae_mnist.

Published for larger, convolutional networks: test NLL 79.77 nats with two steps of
width 320, against 81.08 with a diagonal posterior (128 importance samples; Kingma et
al., 2016, table 1).
"""

import zoo
from recipes import burda

EPOCHS = 100


def train(run) -> None:
    def build():
        return zoo.IAFVAE(
            *burda.networks(), burda.LATENT_DIM, steps=4, units=(320,), seed=run.seed
        )

    burda.train(run, build, about=__doc__)
