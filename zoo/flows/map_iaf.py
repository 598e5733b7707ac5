"""Inverse autoregressive flow of maps."""

import keras
import tensorflow as tf
from tensorflow_probability import bijectors as tfb

from zoo import checks
from zoo.flows.image import ImageFlow
from zoo.flows.made import MADE


@keras.saving.register_keras_serializable("zoo")
class MapIAF(keras.layers.Layer):
    """Gated inverse autoregressive flow of maps `[B, H, W, D]`, given a context.

    A step goes place by place, row after row, and channel by channel:

        e = CausalConv(z)                      of places before, in a window of 5 x 5
        [m, s] = MADE(z at the place, [e, h])  of channels before
        g = sigmoid(s + forget_bias),  z <- g z + (1 - g) m

    The log-determinant is the sum of log g. Every second step goes the other way.
    `call(h)` returns the map as a `tfb.Bijector`; its `forward` takes one pass through
    each step, its `inverse` H W D.

    Args:
        latent_dim: channels D of z.
        steps: length of the chain T.
        units: channels of e, and hidden units of each MADE.
        forget_bias: how far open the gates are at first.

    Raises:
        ValueError: if there is not at least one step or unit.

    Reference: Kingma et al., "Improving Variational Inference with Inverse
    Autoregressive Flow", 2016, algorithm 1 and eq. 14; for NVAE: Vahdat & Kautz, 2020,
    section 3.
    """

    def __init__(
        self,
        latent_dim: int,
        steps: int = 1,
        units: int = 32,
        forget_bias: float = 2.0,
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", **kwargs})
        checks.at_least(1, steps=steps, units=units)
        self.latent_dim = latent_dim
        self.steps = steps
        self.units = units
        self.forget_bias = forget_bias

    def build(self, context_shape):
        shape = (5, 5, self.latent_dim, self.units)
        seen = self.units + context_shape[-1]
        self.kernels, self.mades = [], []
        for step in range(self.steps):
            kernel = self.add_weight(shape, "glorot_uniform", name=f"kernel_{step}")
            made = MADE(2, (self.units,), reverse=step % 2 == 1)
            made.build((None, self.latent_dim), (None, seen))
            self.kernels.append(kernel)
            self.mades.append(made)

    def call(self, context) -> tfb.Bijector:
        context = tf.cast(context, tf.float32)
        steps = [ImageFlow(_Step(self, i, context)) for i in range(self.steps)]
        return tfb.Chain(steps[::-1])

    def gates(self, step: int, z, context) -> tuple[tf.Tensor, tf.Tensor]:
        """m and s + forget_bias of one step, for z `[B, H, W, D]`."""
        other_way = step % 2 == 1
        if other_way:
            z, context = tf.reverse(z, [1, 2]), tf.reverse(context, [1, 2])
        mask = tf.reshape(tf.cast(tf.range(25) < 12, tf.float32), [5, 5, 1, 1])
        e = tf.nn.conv2d(z, self.kernels[step] * mask, 1, "SAME")
        seen = tf.concat([e, context], axis=-1)
        rows = tf.reshape(z, [-1, z.shape[-1]])
        found = self.mades[step](rows, tf.reshape(seen, [-1, seen.shape[-1]]))
        m, s = tf.unstack(tf.reshape(found, [-1, *z.shape[1:], 2]), axis=-1)
        if other_way:
            m, s = tf.reverse(m, [1, 2]), tf.reverse(s, [1, 2])
        return m, s + self.forget_bias


class _Step:
    """One step under a context `[B, H, W, C]`, for `ImageFlow`: z `[K*B, H, W, D]`."""

    name = "map_iaf"

    def __init__(self, layer: MapIAF, step: int, context):
        self.layer = layer
        self.step = step
        self.context = context

    def forward(self, z):
        m, s = self._gates(z)
        log_det = tf.reduce_sum(tf.math.log_sigmoid(s), axis=[1, 2, 3])
        return tf.sigmoid(s) * z + tf.sigmoid(-s) * m, log_det

    def inverse(self, z):
        """Each pass finds at least one more number, as it sees those before alone."""

        def once(index, found):
            m, s = self._gates(found)
            return index + 1, (z - tf.sigmoid(-s) * m) / tf.sigmoid(s)

        passes = tf.reduce_prod(tf.shape(z)[1:])
        return tf.while_loop(lambda i, _: i < passes, once, (0, z))[1]

    def _gates(self, z):
        times = tf.shape(z)[0] // tf.shape(self.context)[0]
        context = tf.tile(self.context, [times, 1, 1, 1])
        return self.layer.gates(self.step, z, context)
