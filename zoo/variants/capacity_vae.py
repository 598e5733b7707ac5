"""beta-VAE with controlled capacity increase."""

import keras

from zoo.latent import of_objective
from zoo.objectives import Capacity, Schedule
from zoo.vae import VAE


@keras.saving.register_keras_serializable("zoo")
class CapacityVAE(VAE):
    """Holds the rate at a capacity C that grows while training.

    Minimises distortion + gamma * |rate - C|, with the batch mean of the rate: first
    few nats code what matters most, later ones the details.

    Args:
        gamma, capacity: as for `zoo.objectives.Capacity`.
        *args, **kwargs: those of `VAE`, without `objective`.

    Example:
        capacity = zoo.schedules.Linear(0.0, 25.0, steps=100_000)
        vae = zoo.CapacityVAE(encoder, decoder, latent_dim=10, capacity=capacity)

    Reference: Burgess et al., "Understanding disentangling in beta-VAE", 2018, eq. 8.
    """

    derived = ("objective",)
    gamma = of_objective("gamma")
    capacity = of_objective("capacity")

    def __init__(
        self, *args, gamma: float = 1000.0, capacity: Schedule = 25.0, **kwargs
    ):
        super().__init__(*args, objective=Capacity(gamma, capacity), **kwargs)
