"""A point: what a deterministic encoder says of z."""

import keras
from tensorflow_probability import distributions as tfd

from zoo.heads.base import Head


@keras.saving.register_keras_serializable("zoo")
class Point(Head):
    """q(z|x) with all its mass on one point, linear in the features.

    Args:
        latent_dim: number of latent dimensions D.
    """

    def __init__(self, latent_dim: int, **kwargs):
        super().__init__(**kwargs)
        self.latent_dim = latent_dim
        self.dense = keras.layers.Dense(latent_dim, dtype="float32", name="params")

    def build(self, features_shape):
        self.dense.build(features_shape)

    def call(self, features) -> tfd.Distribution:
        return tfd.Independent(tfd.Deterministic(self.dense(features)), 1)
