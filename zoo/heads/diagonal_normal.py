"""A diagonal normal, linear in the features but for its scale; or its mean alone."""

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from zoo import checks
from zoo.heads.base import Head
from zoo.networks import WeightNormDense


@keras.saving.register_keras_serializable("zoo")
class DiagonalNormal(Head):
    """q(z|x) = N(loc, diag(scale^2)) with a softplus scale.

    Features `[B, H]` give latents `[D]`, maps of features `[B, H, W, C]` latents
    `[H, W, D]`, each from the features at its place.

    Args:
        latent_dim: number of latent dimensions D.
        min_scale: added to the scale, so that log q stays finite.
        weight_norm: normalise the weights, which then start near zero; see
            `zoo.networks.initialise`.

    Example:
        posterior = zoo.DiagonalNormal(latent_dim=32)(encoder(x))

    Reference: Kingma & Welling, 2014, eq. 9.
    """

    params = 2  # values for each latent dimension

    def __init__(
        self,
        latent_dim: int,
        min_scale: float = 1e-4,
        weight_norm: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.latent_dim = latent_dim
        self.min_scale = min_scale
        options = {"dtype": "float32", "name": "params"}
        if weight_norm:
            dense, options = WeightNormDense, {**options, "initial_scale": 0.1}
        else:
            dense = keras.layers.Dense
        self.dense = dense(self.params * latent_dim, **options)

    def build(self, features_shape):
        self.dense.build(features_shape)

    def call(self, features) -> tfd.Distribution:
        loc, raw_scale = tf.split(self.dense(features), 2, axis=-1)
        scale = tf.nn.softplus(raw_scale) + self.min_scale
        return tfd.Independent(tfd.Normal(loc, scale), features.shape.rank - 1)


@keras.saving.register_keras_serializable("zoo")
class Point(DiagonalNormal):
    """q(z|x) with all its mass on one point of `[D]`, linear in the features."""

    params = 1

    def call(self, features) -> tfd.Distribution:
        return tfd.Independent(tfd.Deterministic(self.dense(features)), 1)


def diagonal_normal(posterior: tfd.Distribution) -> tfd.Normal:
    """The normals `[B, D]` whose product a posterior is.

    Raises:
        ValueError: if it is anything else.
    """
    normal = getattr(posterior, "distribution", None)
    checks.require(
        isinstance(posterior, tfd.Independent) and isinstance(normal, tfd.Normal),
        "The posterior must be a diagonal normal, such as `DiagonalNormal`.",
        f"posterior={posterior.name}",
    )
    return normal


def loc_and_scale(posterior: tfd.Distribution) -> tuple[tf.Tensor, tf.Tensor]:
    """Both of a diagonal normal, `[B, D]`, also where one scale does for many."""
    normal = diagonal_normal(posterior)
    loc, scale = normal.loc, normal.scale
    if scale.shape.rank != loc.shape.rank or scale.shape[1:] != loc.shape[1:]:
        scale = tf.broadcast_to(scale, tf.shape(loc))
    return loc, scale
