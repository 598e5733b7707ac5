"""Importance-weighted autoencoder."""

import keras

from zoo.latent import of_objective
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
    num_importance_samples = of_objective("num_importance_samples")
    beta = of_objective("beta")
    doubly_reparameterised = of_objective("doubly_reparameterised")

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
