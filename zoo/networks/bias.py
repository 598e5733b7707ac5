"""Keras' layers of maps `[B, H, W, C]`, in low precision right and fast on a CPU.

TensorFlow adds up the gradient of `tf.nn.bias_add` there, over all images and places,
in the precision of the maps, unless a graph fuses it with a kernel's gradient. bfloat16
has eight bits: little is left of a long sum. `tf.reduce_sum` adds in float32, so here
it is the gradient. In float32 the layers are Keras' own.
"""

import keras
import tensorflow as tf
from keras import layers


@tf.custom_gradient
def bias_add(maps: tf.Tensor, bias: tf.Tensor):
    """`tf.nn.bias_add`, which a graph fuses with a convolution; bias `[C]`."""

    def gradient(upstream):
        return upstream, tf.reduce_sum(upstream, axis=range(upstream.shape.rank - 1))

    return tf.nn.bias_add(maps, bias), gradient


class SummedBias:
    """Mixin of a Keras layer: in low precision its bias has an exact gradient."""

    def linear(self, x):
        """What the layer computes without bias and activation."""
        raise NotImplementedError

    def call(self, x):
        if self.compute_dtype == "float32":
            return super().call(x)
        y = self.linear(x)
        y = bias_add(y, tf.identity(self.bias)) if self.use_bias else y
        return y if self.activation is None else self.activation(y)


@keras.saving.register_keras_serializable("zoo")
class Conv2D(SummedBias, layers.Conv2D):
    """`keras.layers.Conv2D`, with the same arguments and weights.

    In float32 it is Keras' own; in lower precisions channels must come last. There a
    single filter, as at the end of a decoder of grey images, is a convolution of each
    channel alone and a sum, three times as fast: oneDNN computes sixteen at least.

    Example:
        conv = zoo.networks.Conv2D(32, 3, padding="same", dtype="mixed_bfloat16")
    """

    def linear(self, x):
        plain = self.strides == self.dilation_rate == (1, 1)  # one group then, too
        if self.filters > 1 or not plain:
            return self.convolution_op(x, self.kernel)
        padding = self.padding.upper()
        maps = tf.nn.depthwise_conv2d(x, self.kernel, [1, 1, 1, 1], padding)
        return tf.reduce_sum(maps, axis=-1, keepdims=True)


@keras.saving.register_keras_serializable("zoo")
class Conv2DTranspose(SummedBias, layers.Conv2DTranspose):
    """`keras.layers.Conv2DTranspose`, as `Conv2D` is Keras' own."""

    def linear(self, x):
        return keras.ops.conv_transpose(
            x,
            self.kernel,
            strides=self.strides,
            padding=self.padding,
            output_padding=self.output_padding,
            dilation_rate=self.dilation_rate,
        )


@keras.saving.register_keras_serializable("zoo")
class Dense(SummedBias, layers.Dense):
    """`keras.layers.Dense`, with the same arguments and weights, for maps.

    Of vectors `[B, D]` Keras' own does: the gradient's sum is over images alone.
    """

    def linear(self, x):
        return keras.ops.matmul(x, self.kernel)
