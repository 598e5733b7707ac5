"""Flows of maps `[B, H, W, C]`: actnorm, invertible 1x1 convolution, affine coupling.

`forward` returns the image and log|det| in nats, `[]` or `[B]`; `inverse` undoes it.
`GlowSteps` makes a `tfb.Bijector` of some, for the flow of a prior or a posterior.
"""

import math
from collections.abc import Sequence

import keras
import tensorflow as tf
from tensorflow_probability import bijectors as tfb

from zoo import checks, internals
from zoo.networks import Conv2D
from zoo.networks.weight_norm import DataInitialised


class ActNorm(DataInitialised):
    """z = (y + b) exp(s), with b and s for each channel.

    `zoo.networks.initialise` gives z mean 0 and deviation 1 over a first batch.

    Reference: Kingma & Dhariwal, "Glow", 2018, section 3.1.
    """

    def build(self, shape):
        self.bias = self.add_weight(shape[-1:], "zeros", name="bias")
        self.log_scale = self.add_weight(shape[-1:], "zeros", name="log_scale")

    def forward(self, y):
        if self.initialising:
            mean, variance = tf.nn.moments(y, axes=[0, 1, 2])
            self.bias.assign(-mean)
            self.log_scale.assign(-0.5 * tf.math.log(variance + 1e-6))
            self.initialising = False
        z = (y + self.bias) * tf.exp(self.log_scale)
        return z, places(y) * tf.reduce_sum(self.log_scale)

    def inverse(self, z):
        return z * tf.exp(-self.log_scale) - self.bias


class InvertibleConv(keras.layers.Layer):
    """z = y W at each place, a learned generalisation of a permutation of channels.

        W = P L (U + diag(sign exp(s)))

    with a fixed permutation P and signs, L unit lower and U strictly upper triangular:
    log|det| is H W sum s. It starts as a random rotation.

    Reference: Kingma & Dhariwal, "Glow", 2018, section 3.2.
    """

    def build(self, shape):
        channels = shape[-1]
        rotation = keras.initializers.Orthogonal()((channels, channels))
        packed, permutation = tf.linalg.lu(rotation)
        diagonal = tf.linalg.diag_part(packed)
        fixed = {"trainable": False}
        self.packed = self._weight(packed)
        self.log_scale = self._weight(tf.math.log(tf.abs(diagonal)))
        self.sign = self._weight(tf.sign(diagonal), **fixed)
        self.order = self._weight(tf.math.invert_permutation(permutation), **fixed)

    def _weight(self, value, **options):
        start = lambda *_, **__: value  # noqa: E731
        return self.add_weight(value.shape, start, value.dtype.name, **options)

    def matrix(self) -> tf.Tensor:
        """W, `[C, C]`."""
        packed = tf.convert_to_tensor(self.packed)
        ones = tf.ones_like(self.log_scale)
        lower = tf.linalg.set_diag(tf.linalg.band_part(packed, -1, 0), ones)
        diagonal = self.sign * tf.exp(self.log_scale)
        upper = tf.linalg.set_diag(tf.linalg.band_part(packed, 0, -1), diagonal)
        return tf.gather(lower @ upper, tf.convert_to_tensor(self.order))

    def forward(self, y):
        z = tf.tensordot(y, self.matrix(), 1)
        return z, places(y) * tf.reduce_sum(self.log_scale)

    def inverse(self, z):
        return tf.tensordot(z, tf.linalg.inv(self.matrix()), 1)


class ImageCoupling(keras.layers.Layer):
    """The first half of the channels is kept, and shifts and scales the other.

    A network of 3x3, 1x1 and 3x3 convolutions says how; |log scale| < 2. It starts as
    the identity. Of an odd number of channels one more is changed than is kept.

    Args:
        units: channels of the network's hidden layers.

    Raises:
        ValueError: when built for a single channel.

    Reference: Dinh et al., "Density Estimation Using Real NVP", 2017, section 3.2.
    """

    def __init__(self, units: int):
        super().__init__()
        self.units = units

    def build(self, shape):
        checks.at_least(2, channels=shape[-1])
        self.kept = shape[-1] // 2
        options = {"padding": "same"}
        outputs = 2 * (shape[-1] - self.kept)
        self.network = [
            Conv2D(self.units, 3, activation="relu", **options),
            Conv2D(self.units, 1, activation="relu", **options),
            Conv2D(outputs, 3, kernel_initializer="zeros", **options),
        ]
        shape = (*shape[:-1], self.kept)
        for layer in self.network:
            layer.build(shape)
            shape = layer.compute_output_shape(shape)

    def forward(self, y):
        kept, other = y[..., : self.kept], y[..., self.kept :]
        shift, log_scale = self._affine(kept)
        z = tf.concat([kept, other * tf.exp(log_scale) + shift], axis=-1)
        return z, tf.reduce_sum(log_scale, axis=[1, 2, 3])

    def inverse(self, z):
        kept, other = z[..., : self.kept], z[..., self.kept :]
        shift, log_scale = self._affine(kept)
        return tf.concat([kept, (other - shift) * tf.exp(-log_scale)], axis=-1)

    def _affine(self, kept):
        for layer in self.network:
            kept = layer(kept)
        shift, raw = tf.split(tf.cast(kept, tf.float32), 2, axis=-1)
        return shift, 2.0 * tf.tanh(raw / 2.0)


def glow_steps(steps: int, units: int) -> list[keras.layers.Layer]:
    """The layers of so many steps: actnorm, 1x1 convolution and coupling of each."""
    kinds = [ActNorm, InvertibleConv, lambda: ImageCoupling(units)]
    return [kind() for _ in range(steps) for kind in kinds]


@keras.saving.register_keras_serializable("zoo")
class GlowSteps(keras.layers.Layer):
    """A chain of actnorm, invertible 1x1 convolution and coupling; makes a bijector.

    It maps vectors `[..., H W C]`, which are seen as maps `[H, W, C]`, to others, with
    any axes in front. A prior of latents is `zoo.GlowPrior`; a posterior's flow is

        tfd.TransformedDistribution(base, steps.bijector())

    Args:
        shape: height, width and channels, at least 2 of these.
        steps: length of the chain.
        units: channels of the couplings' hidden layers.

    Raises:
        ValueError: if there are less than two channels, or a number is too small.

    Reference: Kingma & Dhariwal, "Glow", 2018, section 3.
    """

    def __init__(self, shape: Sequence[int], steps: int = 4, units: int = 32, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        checks.check_shape(shape, axes=3)
        checks.at_least(1, steps=steps, units=units)
        checks.at_least(2, channels=shape[-1])
        self.shape = tuple(shape)
        self.steps = steps
        self.units = units
        self.flows = glow_steps(steps, units)

    def build(self, _=None):
        for layer in self.flows:
            layer.build((None, *self.shape))

    def bijector(self) -> tfb.Bijector:
        vector = [math.prod(self.shape)]
        maps = tfb.Reshape(self.shape, vector)
        chain = [tfb.Invert(maps), *map(ImageFlow, self.flows[::-1]), maps]
        return tfb.Chain(chain, name="flow")  # TFP would join the names of its parts


class ImageFlow(internals.CachingBijector):
    """One of these layers, built, as a bijector of maps `[..., H, W, C]`."""

    def __init__(self, layer: keras.layers.Layer):
        # Of its own each time, as in `Coupling`: TFP would hand out what an equal one
        # has cached, from before the weights changed.
        parameters = {**locals(), "own": object()}
        self.layer = layer
        options = {"parameters": parameters, "dtype": tf.float32, "name": layer.name}
        super().__init__(forward_min_event_ndims=3, **options)

    @classmethod
    def _parameter_properties(cls, dtype):
        return {}  # a layer, which has no shape

    def _forward_and_attributes(self, y):
        z, log_det = self.layer.forward(flat(y))
        log_det = tf.broadcast_to(log_det, tf.shape(z)[:1])
        return like(z, y), {"ildj": -tf.reshape(log_det, tf.shape(y)[:-3])}

    def _forward_log_det_jacobian(self, y):
        return -self._forward_and_attributes(y)[1]["ildj"]

    def _inverse_and_attributes(self, z):
        return like(self.layer.inverse(flat(z)), z), None


def flat(maps: tf.Tensor) -> tf.Tensor:
    """`[..., H, W, C]` as `[B, H, W, C]`."""
    return tf.reshape(maps, [-1, *maps.shape[-3:]])


def like(maps: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    return tf.ensure_shape(tf.reshape(maps, tf.shape(other)), other.shape)


def places(maps: tf.Tensor) -> float:
    """Height times width."""
    return float(maps.shape[1] * maps.shape[2])
