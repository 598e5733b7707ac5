"""A diagonal normal whose mean and variance a small network makes of a condition."""

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from zoo.heads.base import Head


def mlp(units: int, batch_norm: bool) -> keras.Sequential:
    """d(y) of two leaky rectifier layers, `[B, Y] -> [B, units]`."""
    network = keras.Sequential()
    for _ in range(2):
        network.add(linear(units, batch_norm))
        network.add(keras.layers.LeakyReLU(0.1, dtype="float32"))
    return network


def linear(units: int, batch_norm: bool) -> keras.Sequential:
    """A linear map `[B, Y] -> [B, units]`, each of its outputs batch normalised."""
    network = keras.Sequential()
    network.add(keras.layers.Dense(units, use_bias=not batch_norm, dtype="float32"))
    if batch_norm:
        network.add(keras.layers.BatchNormalization(dtype="float32"))
    return network


@keras.saving.register_keras_serializable("zoo")
class ConditionalNormal(Head):
    """N(mu(y), diag(sigma^2(y))) for y `[B, Y]`, event shape `[D]`.

        d = MLP(y),  mu = Linear(d),  sigma^2 = softplus(Linear(d)) + min_variance

    With `batch_norm` both linear maps are normalised too, before the softplus.

    Args:
        latent_dim: number of latent dimensions D.
        units: width of the MLP's two layers; without it d = y.
        batch_norm: normalise every linear map over the batch.
        min_variance: added to the variance, so that rates stay finite.

    Reference: Sonderby et al., 2016, section 2.
    """

    def __init__(
        self,
        latent_dim: int,
        units: int | None = None,
        batch_norm: bool = True,
        min_variance: float = 1e-4,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.latent_dim = latent_dim
        self.min_variance = min_variance
        self.hidden = mlp(units, batch_norm) if units else keras.layers.Identity()
        self.params = linear(2 * latent_dim, batch_norm)

    def build(self, y_shape):
        self.hidden.build((None, y_shape[-1]))
        self.params.build(self.hidden.compute_output_shape((None, y_shape[-1])))

    def call(self, y) -> tfd.Distribution:
        loc, raw_variance = tf.split(self.params(self.hidden(y)), 2, axis=-1)
        variance = tf.nn.softplus(raw_variance) + self.min_variance
        return tfd.Independent(tfd.Normal(loc, tf.sqrt(variance)), 1)
