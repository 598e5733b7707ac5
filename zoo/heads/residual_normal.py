"""Normals over maps, bounded smoothly, and posteriors told relative to a prior."""

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from zoo.heads.base import Head
from zoo.heads.diagonal_normal import diagonal_normal


def soft_clip(t: tf.Tensor) -> tf.Tensor:
    """5 tanh(t / 5): nearly t where it is small, within (-5, 5) everywhere."""
    return 5.0 * tf.tanh(t / 5.0)


@keras.saving.register_keras_serializable("zoo")
class ResidualNormal(Head):
    """N(mu, sigma^2) of maps, from features at each place, and relative to a prior.

        alone:               mu = c(a),           sigma = exp(c(b))
        relative to a prior: mu = mu_p + c(a),    sigma = sigma_p exp(c(b))

    with [a, b] linear in the features and c a soft clip to (-5, 5). Whatever the prior
    does, the posterior moves along, and zeros mean a rate of zero:

        KL = 1/2 sum (c(a)^2 / sigma_p^2 + exp(c(b))^2 - 2 c(b) - 1)

    Features `[B, H, W, C]` give latents `[H, W, D]`.

    Args:
        latent_dim: number of channels D of the latents.

    Reference: Vahdat & Kautz, "NVAE", 2020, section 3.2, eq. 2.
    """

    def __init__(self, latent_dim: int, **kwargs):
        super().__init__(**kwargs)
        self.latent_dim = latent_dim
        small = keras.initializers.VarianceScaling(1e-4)  # rates begin near zero
        options = {"kernel_initializer": small, "dtype": "float32", "name": "params"}
        self.dense = keras.layers.Dense(2 * latent_dim, **options)

    def build(self, features_shape):
        self.dense.build(features_shape)

    def call(self, features, prior=None) -> tfd.Distribution:
        change = self.dense(features)
        loc, log_scale = map(soft_clip, tf.split(change, 2, axis=-1))
        scale = tf.exp(log_scale)
        if prior is not None:
            normal = diagonal_normal(prior)
            loc, scale = normal.loc + loc, normal.scale * scale
        return tfd.Independent(tfd.Normal(loc, scale), features.shape.rank - 1)
