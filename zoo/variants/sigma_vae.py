"""sigma-VAE: a normal likelihood whose scale calibrates itself."""

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from zoo.devices import mean_of_all
from zoo.likelihoods.base import Likelihood
from zoo.likelihoods.normal import MIN_SIGMA, Normal
from zoo.vae import VAE


@keras.saving.register_keras_serializable("zoo")
class SigmaVAE(VAE):
    """Lets the data say how much of the reconstruction error is noise.

    The scale sigma of the normal likelihood balances distortion against rate, as beta
    does, but the likelihood itself knows its best value: the root of the mean squared
    error. With "optimal", every training step takes that of its own batch,

        sigma^2 = mean (x - loc)^2 + exp(-12),  over K, the batch and all values,
        distortion = D log sigma + D/2 (1 + log 2 pi)  in the batch mean,

    but for the floor, with D values per image; gradients flow through sigma. Outside
    training sigma may not look at x: it is frozen at its running value over the
    training batches. A predicted sigma sees z alone, so that it needs no freezing.

    Args:
        encoder, decoder, latent_dim: as for `VAE`.
        sigma: "optimal", or what `zoo.Normal` takes.
        **kwargs: those of `VAE`, without `likelihood`.

    Reference: Rybkin et al., "Simple and Effective VAE Training with Calibrated
    Decoders", 2021.
    """

    derived = ("likelihood",)

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        latent_dim: int,
        *,
        sigma: float | str = "optimal",
        **kwargs,
    ):
        likelihood = OptimalNormal() if sigma == "optimal" else Normal(sigma)
        super().__init__(encoder, decoder, latent_dim, likelihood=likelihood, **kwargs)
        self.sigma = sigma

    def log_likelihood(self, draw, x, likelihood):
        if self.sigma != "optimal":
            return super().log_likelihood(draw, x, likelihood)
        loc, x = likelihood.mean(), draw.repeat(x)
        return self.likelihood_head(loc, x, self.step).log_prob(x)


@keras.saving.register_keras_serializable("zoo")
class OptimalNormal(Likelihood):
    """The batch's own sigma where training shows it x, its running value otherwise."""

    def build(self, params_shape):
        self.variance = self.add_weight(
            (), "ones", trainable=False, aggregation="mean", name="variance"
        )

    def call(self, loc, x=None, step=None, training=False) -> tfd.Distribution:
        if x is None or not training:
            return self.event(tfd.Normal(loc, tf.sqrt(self.variance)))
        variance = optimal_variance(x, loc)
        self.update(variance, step)
        return self.event(tfd.Normal(loc, tf.sqrt(variance)))

    def update(self, variance: tf.Tensor, step: tf.Tensor) -> None:
        """Averages over the last hundred steps, or over all of them if fewer."""
        weight = tf.maximum(1.0 / (tf.cast(step, tf.float32) + 1.0), 0.01)
        self.variance.assign_add(weight * (variance - self.variance))


def optimal_variance(x, loc) -> tf.Tensor:
    """The sigma^2 that suits all values of x best, but for the floor; `[]`."""
    return mean_of_all(tf.reduce_mean((x - loc) ** 2)) + MIN_SIGMA**2
