"""beta-VAE."""

import keras

from zoo.schedules import Schedule
from zoo.vae import VAE


@keras.saving.register_keras_serializable("zoo")
class BetaVAE(VAE):
    """Weights the rate by beta > 1, so that the latents say less and part their roles.

    Minimises distortion + beta * rate. The engine has `beta` for every model; here it
    is the point.

    Args:
        beta: weight of the rate, a number or a schedule of the training step.
        **kwargs: as for `VAE`.

    Example:
        vae = zoo.BetaVAE(encoder, decoder, latent_dim=12, beta=4.0)

    Reference: Higgins et al., "beta-VAE", 2017, eq. 4.
    """

    def __init__(self, *args, beta: Schedule = 4.0, **kwargs):
        super().__init__(*args, beta=beta, **kwargs)
