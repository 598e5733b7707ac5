"""Variational ladder autoencoder: one flat prior, latents at different depths."""

import math
from collections.abc import Sequence

import keras
import tensorflow as tf

from zoo import checks, networks
from zoo.heads import DiagonalNormal
from zoo.heads.conditional_normal import mlp
from zoo.latent import LatentVariableModel
from zoo.priors import StandardNormal


@keras.saving.register_keras_serializable("zoo")
class VLAE(LatentVariableModel):
    """Latents of several depths, independent a priori: p(z) = N(0, I).

    What enters the decoder deeper must be more abstract, so that levels part by
    themselves: the deepest tells digits apart, the shallowest the strokes. No level's
    prior depends on another's, and every rate is analytic. i = 1, ..., L:

        h_i = MLP(h_{i-1}),  q(z_i|x) = N(mu(h_i), sigma^2(h_i)),  h_0 = x
        d_i = MLP([d_{i+1}, z_i]),  d_L = MLP(z_L),  p(x|z) from d_1

    Args:
        shape: the data's, such as height, width and channels.
        latent_dims: numbers of dimensions of z_1, ..., z_L; z_L enters first.
        units: widths of h_1, ..., h_L and of d_1, ..., d_L.
        **kwargs: as for `zoo.LatentVariableModel`.

    Raises:
        ValueError: if the lists are empty or differ in length, or a size is too small.

    Example:
        vlae = zoo.VLAE((28, 28, 1), latent_dims=(8, 8, 8), units=(512, 256, 128))

    Reference: Zhao, Song & Ermon, "Learning Hierarchical Features from Generative
    Models", 2017, section 4.
    """

    def __init__(
        self,
        shape: Sequence[int],
        latent_dims: Sequence[int],
        units: Sequence[int],
        **kwargs,
    ):
        super().__init__(**kwargs)
        checks.check_shape(shape)
        checks.per_layer(latent_dims=latent_dims, units=units)
        self.shape = tuple(shape)
        self.latent_dims = tuple(latent_dims)
        self.units = tuple(units)
        wanted = "`latent_dims` and `units` must have one entry for each level."
        alike = len(self.latent_dims) == len(self.units) > 0
        checks.require(alike, wanted, f"{self.latent_dims=}, {self.units=}")
        # Lists are bottom first: level i is at index i - 1.
        self.up = [mlp(width, batch_norm=False) for width in self.units]
        self.posteriors = [DiagonalNormal(dim) for dim in self.latent_dims]
        self.priors = [StandardNormal(dim) for dim in self.latent_dims]
        self.down = [mlp(width, batch_norm=False) for width in self.units]
        params = self.shape[-1] * self.likelihood_head.params_per_channel
        out = (*self.shape[:-1], params)
        self.pixels = networks.dense_decoder(self.units[0], out, units=())

    @property
    def event_shape(self):
        return self.shape

    def features(self, x, given):
        """h_1, ..., h_L, `[B, units]` each."""
        h, levels = tf.reshape(x, [-1, math.prod(self.shape)]), []
        for network in self.up:
            h = network(h)
            levels.append(h)
        return levels

    def walk(self, draw, features=None, given=None):
        above = []  # d_{i+1}, but for the top level
        for i in reversed(range(len(self.down))):
            q = None if features is None else self.posteriors[i](features[i])
            z = draw(self.priors[i].distribution(self), q)
            above = [self.down[i](tf.concat([*above, z], axis=-1))]
        return above[0]

    def reports(self, draw):
        return self.active_units(draw)

    def likelihood(self, out, given):
        return self.likelihood_head(self.pixels(out))
