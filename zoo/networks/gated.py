"""Gated causal convolutions: a PixelCNN's layers, at once or step by step."""

import keras
import tensorflow as tf


class GatedConv(keras.layers.Layer):
    """One layer of two stacks, both of maps `[B, H, W, C]`.

    The vertical stack sees its own row and those above, as wide as the kernel; the
    horizontal stack sees its own place and those left of it, and what the vertical
    one has found. Each ends in tanh(a) * sigmoid(b), and the horizontal in a residual:

        p = Conv_v(v) + c,  v <- gate(p)
        h <- h + W gate(Conv_h(h) + U p + c)

    with c what is known from elsewhere, `[B, H, W, 4 C]` for both, or nothing.

    Args:
        channels: C.
        kernel_size: how wide the vertical stack looks, odd; both look half as far up
            and left.

    Reference: van den Oord et al., "Conditional Image Generation with PixelCNN
    Decoders", 2016, section 2.3, eq. 2.
    """

    def __init__(self, channels: int, kernel_size: int = 3):
        super().__init__(dtype="float32")
        self.channels = channels
        self.back = kernel_size // 2  # places looked at, beside the own

    def build(self, _=None):
        channels, reach = self.channels, self.back + 1
        kernel = (reach, 2 * self.back + 1, channels, 2 * channels)
        self.v_kernel = self.add_weight(kernel, name="v_kernel")
        self.v_bias = self.add_weight((2 * channels,), "zeros", name="v_bias")
        self.h_kernel = self.add_weight((1, reach, *kernel[2:]), name="h_kernel")
        self.h_bias = self.add_weight((2 * channels,), "zeros", name="h_bias")
        self.cross = self.add_weight((2 * channels,) * 2, name="cross")
        self.out = self.add_weight((channels,) * 2, name="out")
        self.out_bias = self.add_weight((channels,), "zeros", name="out_bias")

    def call(self, v, h, c=None):
        up = tf.pad(v, [[0, 0], [self.back, 0], [0, 0], [0, 0]])
        left = tf.pad(h, [[0, 0], [0, 0], [self.back, 0], [0, 0]])
        above, left_of = (None, None) if c is None else tf.split(c, 2, axis=-1)
        v, found = self.rows(up, above)
        return v, self.columns(left, found, h, left_of)

    def rows(self, v, c=None):
        """Rows of v with those above them `[B, back + n, W, C]` to n new rows.

        Also returns what the horizontal stack takes of them, `[B, n, W, 2 C]`.
        """
        sides = [[0, 0], [0, 0], [self.back, self.back], [0, 0]]
        found = tf.nn.conv2d(tf.pad(v, sides), self.v_kernel, 1, "VALID") + self.v_bias
        found = found if c is None else found + c
        return gate(found), tf.tensordot(found, self.cross, 1)

    def columns(self, left, found, h, c=None):
        """Places of h with those left of them `[B, n, back + m, C]` to m new ones."""
        sums = tf.nn.conv2d(left, self.h_kernel, 1, "VALID") + self.h_bias + found
        sums = sums if c is None else sums + c
        return h + tf.tensordot(gate(sums), self.out, 1) + self.out_bias


def gate(t: tf.Tensor) -> tf.Tensor:
    a, b = tf.split(t, 2, axis=-1)
    return tf.tanh(a) * tf.sigmoid(b)
