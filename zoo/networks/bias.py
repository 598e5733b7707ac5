"""Keras' layers of maps `[B, H, W, C]`, with biases that learn in low precision too.

On a CPU, TensorFlow adds up the gradient of `tf.nn.bias_add`, over all images and
places, in the precision of the maps, unless a graph fuses it with a kernel's gradient.
bfloat16 has eight bits: little is left of a long sum. The gradient of `+` is summed in
float32. So here `+` adds the bias, where the precision is lower than float32.
"""

import keras
from keras import layers


class SummedBias:
    """Mixin of a Keras layer: in low precision it adds its bias by `+`."""

    def linear(self, x):
        """What the layer computes without bias and activation."""
        raise NotImplementedError

    def call(self, x):
        if self.compute_dtype == "float32":
            return super().call(x)
        y = self.linear(x)
        y = y + self.bias if self.use_bias else y
        return y if self.activation is None else self.activation(y)


@keras.saving.register_keras_serializable("zoo")
class Conv2D(SummedBias, layers.Conv2D):
    """`keras.layers.Conv2D`, with the same arguments and weights.

    In float32 it is Keras' own; in lower precisions channels must come last.

    Example:
        conv = zoo.networks.Conv2D(32, 3, padding="same", dtype="mixed_bfloat16")
    """

    def linear(self, x):
        return self.convolution_op(x, self.kernel)


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
