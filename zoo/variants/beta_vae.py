"""beta-VAE."""

import keras

from zoo.latent import of_objective
from zoo.objectives import ELBO, Schedule
from zoo.vae import VAE


@keras.saving.register_keras_serializable("zoo")
class BetaVAE(VAE):
    """Minimises distortion + beta * rate: fewer, more disentangled latents.

    Args:
        beta: weight of the rate, a number or a schedule of the training step.
        *args, **kwargs: those of `VAE`, without `objective`.

    Reference: Higgins et al., "beta-VAE", 2017, eq. 4.
    """

    derived = ("objective",)
    beta = of_objective("beta")

    def __init__(self, *args, beta: Schedule = 4.0, **kwargs):
        super().__init__(*args, objective=ELBO(beta), **kwargs)
