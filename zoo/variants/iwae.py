"""Importance-weighted autoencoder."""

import keras

from zoo.objectives import IWELBO, Schedule
from zoo.vae import VAE


@keras.saving.register_keras_serializable("zoo")
class IWAE(VAE):
    """Takes the K draws inside the logarithm: a tighter bound, a richer posterior.

    Minimises -log (1/K) sum_k p(x, z_k) / q(z_k|x). K = 1 is the VAE.

    Args:
        num_importance_samples, beta, doubly_reparameterised: as for
            `zoo.objectives.IWELBO`, which takes any other model's bound inside too.
        *args, **kwargs: those of `VAE`, without `objective`.

    Reference: Burda et al., "Importance Weighted Autoencoders", 2016, eq. 8.
    """

    derived = ("objective",)

    def __init__(
        self,
        *args,
        num_importance_samples: int = 5,
        beta: Schedule = 1.0,
        doubly_reparameterised: bool = False,
        **kwargs,
    ):
        objective = IWELBO(num_importance_samples, beta, doubly_reparameterised)
        super().__init__(*args, objective=objective, **kwargs)
        self.num_importance_samples = num_importance_samples
        self.beta = beta
        self.doubly_reparameterised = doubly_reparameterised
