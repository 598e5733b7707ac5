"""Weight normalisation: each output's weights as a direction and a length.

    y = g v . x / |v| + b

for every output a direction v, a length g and a bias b, all learned. `initialise` sets
g and b from a first batch of real data.

Reference: Salimans & Kingma, "Weight Normalization", 2016, eqs. 2 and 5-6.
"""

import keras
import tensorflow as tf

from zoo import checks, internals


class DataInitialised(keras.layers.Layer):
    """Base of the layers that a first batch of data sets up; see `initialise`."""

    initialising = False  # whether the next pass does


class WeightNorm(DataInitialised):
    """Base of the weight-normalised layers, on the last axis of `[B, ..., C]`.

    Args:
        units: number of outputs.
        initial_scale: length of every output's weights at first, and the standard
            deviation that `initialise` gives to every output.
    """

    window = ()  # of places that an output sees

    def __init__(self, units: int, initial_scale: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.initial_scale = initial_scale

    def build(self, x_shape):
        shape, length = (*self.window, x_shape[-1], self.units), self.initial_scale
        constant, whole = keras.initializers.Constant(length), {"autocast": False}
        normal = "random_normal"
        self.direction = self.add_weight(shape, normal, name="direction", **whole)
        self.length = self.add_weight((self.units,), constant, name="length", **whole)
        self.bias = self.add_weight((self.units,), "zeros", name="bias")

    def kernel(self) -> tf.Tensor:
        """g v / |v|, found in the weights' precision, told in that of the layer."""
        v = tf.convert_to_tensor(self.direction)
        unit = tf.math.l2_normalize(v, axis=range(v.shape.rank - 1))
        return tf.cast(self.length * unit, self.compute_dtype)

    def linear(self, x, kernel) -> tf.Tensor:
        raise NotImplementedError

    def call(self, x):
        if self.initialising:
            self._normalise(tf.cast(self.linear(x, self.kernel()), tf.float32))
        return self.linear(x, self.kernel()) + self.bias

    def _normalise(self, y):
        """Changes g and b such that y has the wanted mean and deviation; once."""
        mean, variance = tf.nn.moments(y, axes=range(y.shape.rank - 1))
        factor = self.initial_scale * tf.math.rsqrt(variance + 1e-8)
        self.length.assign(factor * self.length)
        self.bias.assign(-factor * mean)
        self.initialising = False


@keras.saving.register_keras_serializable("zoo")
class WeightNormDense(WeightNorm):
    """`[B, ..., C]` to `[B, ..., units]`; see `WeightNorm`."""

    def linear(self, x, kernel):
        return tf.tensordot(x, kernel, 1)


@keras.saving.register_keras_serializable("zoo")
class WeightNormConv2D(WeightNorm):
    """`[B, H, W, C]` to `[B, H / strides, W / strides, units]`, padded with zeros.

    Args:
        units: number of outputs at every place.
        kernel_size: side of the window that an output sees.
        strides: places from one output to the next.
        initial_scale: as for `WeightNorm`.
    """

    def __init__(
        self,
        units: int,
        kernel_size: int = 3,
        strides: int = 1,
        initial_scale: float = 1.0,
        **kwargs,
    ):
        super().__init__(units, initial_scale, **kwargs)
        self.kernel_size = kernel_size
        self.strides = strides
        self.window = (kernel_size, kernel_size)

    def linear(self, x, kernel):
        return tf.nn.conv2d(x, kernel, self.strides, "SAME")


@keras.saving.register_keras_serializable("zoo")
class WeightNormBlock(keras.layers.Layer):
    """y + Conv(elu(Conv(elu(y)))) of maps `[B, H, W, C]`, windows of 3 x 3.

    At first the change has a tenth of the deviation of y.
    """

    def build(self, shape):
        options = {"units": shape[-1], "dtype": self.dtype_policy}
        self.first = WeightNormConv2D(**options)
        self.second = WeightNormConv2D(initial_scale=0.1, **options)
        self.first.build(shape)
        self.second.build(shape)

    def call(self, y):
        return y + self.second(tf.nn.elu(self.first(tf.nn.elu(y))))


def initialise(model: keras.layers.Layer, x) -> None:
    """Sets scales and biases from data: outputs of mean zero and equal deviation.

    One pass over a batch, layer by layer: each one's outputs get mean 0 and standard
    deviation `initial_scale`, or 1 behind actnorm, over the batch and its places, and
    so reach the next. To be called once, before training.

    Args:
        model: a network or a model with weight-normalised or actnorm layers; changed in
            place.
        x: a batch of training data, as the model takes it when called.

    Raises:
        ValueError: if the model has no such layers.

    Example:
        zoo.networks.initialise(biva, next(iter(stream(images, 128, seed=1))))

    Reference: Salimans & Kingma, 2016, section 3.
    """
    layers = internals.layers_of(model, DataInitialised)
    wanted = "`model` must have weight-normalised or actnorm layers."
    checks.require(layers, wanted, f"{type(model).__name__} without any")
    try:
        for layer in layers:
            layer.initialising = True
        model(x)
    finally:
        for layer in layers:
            layer.initialising = False
