"""MADE: a dense network whose outputs each see only the inputs before them."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from zoo import checks


@keras.saving.register_keras_serializable("zoo")
class MADE(keras.layers.Layer):
    """Masked network in which output d sees no latent but z_1, ..., z_{d-1}.

        a_1 = (M_1 * W_1) z + U h + b_1,    a_l = (M_l * W_l) f(a_{l-1}) + b_l

    The masks M compare degrees: latent d has degree d, a hidden unit of degree m sees
    degrees up to m, and output d sees degrees below d. The context h is seen by all;
    with it some hidden units have degree 0, so that it also reaches the first output
    through every layer. `[..., D]` and h `[B, H]` give `[..., D, params]`.

    Args:
        params: values per latent P.
        units: widths of the hidden layers; none makes the network linear.
        reverse: turns the order round, so that output d sees z_{d+1}, ..., z_D. Several
            values make a network of each, which `IAF` walks through; the layer's own
            call is the first one's.
        activation: Keras activation f of the hidden layers.
        weight_norm: learn each unit's weights as a direction and a length (Salimans &
            Kingma, 2016, eq. 2).

    Reference: Germain et al., "MADE: Masked Autoencoder for Distribution Estimation",
    2015, eqs. 12-13.
    """

    def __init__(
        self,
        params: int = 2,
        units: Sequence[int] = (256,),
        reverse: bool | Sequence[bool] = False,
        activation: str = "elu",
        weight_norm: bool = True,
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", **kwargs})
        checks.per_layer(units=units)
        self.params = params
        self.units = list(units)
        self.reverse = reverse
        self.activation = keras.activations.get(activation)
        self.weight_norm = weight_norm

    def build(self, z_shape, context_shape=None):
        has_context = context_shape is not None
        orders = np.atleast_1d(self.reverse)
        degrees = [self._degrees(z_shape[-1], order, has_context) for order in orders]
        *hidden, last = [tuple(map(np.stack, zip(*layer))) for layer in zip(*degrees)]
        self.layers = [self._masked_dense(*pair) for pair in hidden]
        self.layers.append(self._masked_dense(*last, gain=0.1))  # begins near its bias
        if has_context:
            seen = np.zeros([len(orders), context_shape[-1]], "int32")
            by_all = np.ones_like(self.layers[0].limits)
            self.context_layer = self._masked_dense(seen, by_all, use_bias=False)

    def call(self, z, context=None):
        first = tf.nest.map_structure(lambda w: w[0], self.affine_maps(context))
        return self.outputs(z, first)

    def affine_maps(self, context=None) -> list[tuple[tf.Tensor, tf.Tensor]]:
        """Weights and shifts of every layer, those of the T networks side by side.

        `[T, inputs, units]` and `[T, units]`; the context makes the first layer's
        shifts `[T, B, units]`.
        """
        maps = [(layer.weights_in_use(), layer.bias) for layer in self.layers]
        if context is not None:
            (w, b), *others = maps
            u = self.context_layer.weights_in_use()
            shifts = tf.einsum("bi,tiu->tbu", context, u)
            maps = [(w, b[:, None] + shifts), *others]
        return tf.nest.map_structure(tf.convert_to_tensor, maps)

    def outputs(self, z, maps) -> tf.Tensor:
        """What one network, whose `affine_maps` these are, makes of z."""
        (w, b), *others = maps
        a = _times(z, w) + b
        for w, b in others:
            a = _times(self.activation(a), w) + b
        return tf.reshape(a, tf.concat([tf.shape(a)[:-1], [-1, self.params]], 0))

    def _degrees(self, latent_dim, reverse, has_context) -> list[tuple]:
        """Of each layer, its inputs' degrees and what they must stay below."""
        degrees = np.arange(1, latent_dim + 1, dtype="int32")
        if reverse:
            degrees = degrees[::-1]
        lowest = 0 if has_context else min(1, latent_dim - 1)
        span = latent_dim - lowest
        units = [np.arange(width, dtype="int32") for width in self.units]
        hidden = [lowest + unit * span // len(unit) for unit in units]
        limits = [degree + 1 for degree in hidden]
        limits.append(np.repeat(degrees, self.params))
        return list(zip([degrees, *hidden], limits))

    def _masked_dense(self, degrees, limits, **options):
        options |= {"weight_norm": self.weight_norm, "dtype": self.dtype_policy}
        layer = _MaskedDense(degrees, limits, **options)
        layer.build()
        return layer


def _times(a, w) -> tf.Tensor:
    """`[..., I]` times `[I, O]`; XLA takes no `tf.tensordot` of an unknown batch in a
    loop."""
    rows = tf.matmul(tf.reshape(a, [-1, a.shape[-1]]), w)
    return tf.reshape(rows, tf.concat([tf.shape(a)[:-1], [w.shape[-1]]], 0))


class _MaskedDense(keras.layers.Layer):
    """Weights of dense layers side by side, each with zeros where its mask has them.

    A unit sees the inputs whose degrees `[T, inputs]` are below its limit `[T, units]`;
    a graph holds these in place of masks, which are as large as the weights. A unit's
    weights start with the length `gain`. With weight normalisation they are
    gain * mask * V / |mask * V|, column by column, and the gain is learned.
    """

    def __init__(
        self, degrees, limits, weight_norm: bool, gain=1.0, use_bias=True, **kwargs
    ):
        super().__init__(**kwargs)
        self.degrees = degrees
        self.limits = limits
        self.weight_norm = weight_norm
        self.gain = gain
        self.use_bias = use_bias

    def build(self, _=None):
        def start(shape, dtype):
            directions = keras.initializers.RandomNormal(stddev=1.0)(shape, dtype)
            return self.gain * tf.math.l2_normalize(self.masks() * directions, axis=1)

        units = self.limits.shape
        shape = (units[0], self.degrees.shape[1], units[1])
        self.kernel = self.add_weight(shape, start, name="kernel")
        if self.use_bias:
            self.bias = self.add_weight(units, "zeros", name="bias")
        if self.weight_norm:
            gains = keras.initializers.Constant(self.gain)
            self.length = self.add_weight(units, gains, name="length")

    def masks(self) -> tf.Tensor:
        """Zeros and ones, `[T, inputs, units]`."""
        seen = tf.constant(self.degrees)[:, :, None] < self.limits[:, None]
        return tf.cast(seen, tf.float32)

    def weights_in_use(self) -> tf.Tensor:
        kernel = self.kernel * self.masks()
        if self.weight_norm:
            kernel = self.length[:, None] * tf.math.l2_normalize(kernel, axis=1)
        return kernel
