"""VAE with two dense layers on dynamically binarised MNIST.

The yardstick of the family: a diagonal normal posterior and a standard normal prior.
Published, after about 3280 epochs: test NLL 86.76 nats (5000 importance samples; Burda
et al., 2016, table 1).
"""

import zoo
from recipes import burda

EPOCHS = 100


def train(run) -> None:
    def build():
        return zoo.VAE(*burda.networks(), burda.LATENT_DIM, seed=run.seed)

    burda.train(run, build, about=__doc__)
