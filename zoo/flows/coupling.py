"""Affine coupling: one part of z is kept, and shifts and scales the other."""

from functools import partial

import keras
import tensorflow as tf
from tensorflow_probability import bijectors as tfb


class Coupling(keras.layers.Layer):
    """Shift and log scale of some dimensions from the others, `[..., D]` each.

    |log scale| < 2: no coupling stretches by more than a factor of e^2.
    """

    def __init__(self, units: int, outputs: int):
        super().__init__(dtype="float32")
        dense = partial(keras.layers.Dense, dtype="float32")
        last = dense(2 * outputs, kernel_initializer="zeros")
        self.network = [dense(units, "relu"), dense(units, "relu"), last]

    def build(self, input_shape):
        for dense in self.network:
            dense.build(input_shape)
            input_shape = dense.compute_output_shape(input_shape)

    def call(self, z):
        for dense in self.network:
            z = dense(z)
        shift, raw_log_scale = tf.split(z, 2, axis=-1)
        return shift, 2.0 * tf.tanh(raw_log_scale / 2.0)

    def bijector(self, num_masked: int) -> tfb.Bijector:
        """Leaves the first `num_masked` dimensions alone, or the last if negative."""
        # A function of its own each time: TFP would hand out what an equal bijector
        # has cached, from before the weights changed.
        return tfb.RealNVP(
            num_masked, shift_and_log_scale_fn=lambda z, _: self(z), name="coupling"
        )
