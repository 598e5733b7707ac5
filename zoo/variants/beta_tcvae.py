"""beta-TCVAE: the rate in three parts, each with a weight of its own."""

import keras

from zoo.latent import of_objective
from zoo.objectives import Schedule, TotalCorrelation
from zoo.vae import VAE


@keras.saving.register_keras_serializable("zoo")
class BetaTCVAE(VAE):
    """Penalises the total correlation of the latents alone.

    Minimises distortion + alpha * mutual information + beta * total correlation +
    gamma * dimension-wise KL.

    Args:
        dataset_size, alpha, beta, gamma: as for `zoo.objectives.TotalCorrelation`.
        *args, **kwargs: those of `VAE`, without `objective`.

    Reference: Chen et al., "Isolating Sources of Disentanglement", 2018, eqs. 2 and 4.
    """

    derived = ("objective",)
    dataset_size = of_objective("dataset_size")
    alpha = of_objective("alpha")
    beta = of_objective("beta")
    gamma = of_objective("gamma")

    def __init__(
        self,
        *args,
        dataset_size: int,
        alpha: float = 1.0,
        beta: Schedule = 6.0,
        gamma: float = 1.0,
        **kwargs,
    ):
        objective = TotalCorrelation(dataset_size, alpha, beta, gamma)
        super().__init__(*args, objective=objective, **kwargs)
