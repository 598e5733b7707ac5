"""Flows of maps `[B, H, W, C]`: actnorm, invertible 1x1 convolution, affine coupling.

`forward` returns the image and log|det| in nats, `[]` or `[B]`; `inverse` undoes it.
`ImageFlow` makes a `tfb.Bijector` of one, for the flow of a prior or a posterior.
"""

import keras
import tensorflow as tf

from zoo import internals
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
    the identity.

    Args:
        units: channels of the network's hidden layers.

    Reference: Dinh et al., "Density Estimation Using Real NVP", 2017, section 3.2.
    """

    def __init__(self, units: int):
        super().__init__()
        self.units = units

    def build(self, shape):
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


class ImageFlow(internals.CachingBijector):
    """One of these layers, built, as a bijector of maps."""

    def __init__(self, layer: keras.layers.Layer):
        parameters = dict(locals())
        self.layer = layer
        options = {"parameters": parameters, "dtype": tf.float32, "name": layer.name}
        super().__init__(forward_min_event_ndims=3, **options)

    @classmethod
    def _parameter_properties(cls, dtype):
        return {}  # a layer, which has no shape

    def _forward_and_attributes(self, y):
        z, log_det = self.layer.forward(y)
        return z, {"ildj": -log_det}

    def _forward_log_det_jacobian(self, y):
        return self.layer.forward(y)[1]

    def _inverse_and_attributes(self, z):
        return self.layer.inverse(z), None


def places(maps: tf.Tensor) -> float:
    """Height times width."""
    return float(maps.shape[1] * maps.shape[2])
