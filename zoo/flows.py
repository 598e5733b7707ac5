"""Flows: invertible maps of z whose log-determinant costs nothing extra.

The weights live in Keras layers; the maps are `tfb.Bijector`s made from them.
"""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

tfb = tfp.bijectors


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
        reverse: turns the order round, so that output d sees z_{d+1}, ..., z_D.
        activation: Keras activation f of the hidden layers.
        weight_norm: learn each unit's weights as a direction and a length (Salimans &
            Kingma, 2016, eq. 2).

    Example:
        made = zoo.MADE(params=2, units=(64, 64))
        loc, log_scale = tf.unstack(made(z, h), axis=-1)

    Reference: Germain et al., "MADE: Masked Autoencoder for Distribution Estimation",
    2015, eqs. 12-13.
    """

    def __init__(
        self,
        params: int = 2,
        units: Sequence[int] = (256,),
        reverse: bool = False,
        activation: str = "elu",
        weight_norm: bool = True,
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.params = params
        self.units = list(units)
        self.reverse = reverse
        self.activation = keras.activations.get(activation)
        self.weight_norm = weight_norm

    def build(self, z_shape, context_shape=None):
        latent_dim = z_shape[-1]
        degrees = np.arange(1, latent_dim + 1)
        if self.reverse:
            degrees = degrees[::-1]
        lowest = min(1, latent_dim - 1) if context_shape is None else 0
        span = latent_dim - lowest
        hidden = [lowest + np.arange(width) * span // width for width in self.units]
        masks = [
            below[:, None] <= above for below, above in zip([degrees, *hidden], hidden)
        ]
        outputs = np.repeat(degrees, self.params)
        masks.append([degrees, *hidden][-1][:, None] < outputs)
        gains = [1.0] * len(hidden) + [0.1]  # a flow begins near its bias
        self.layers = [
            _MaskedDense(mask, gain, self.weight_norm, dtype=self.dtype_policy)
            for mask, gain in zip(masks, gains)
        ]
        for layer, mask in zip(self.layers, masks):
            layer.build((None, len(mask)))
        if context_shape is not None:
            everything = np.ones([context_shape[-1], masks[0].shape[1]], bool)
            self.context_layer = _MaskedDense(
                everything, gains[0], self.weight_norm, dtype=self.dtype_policy
            )
            self.context_layer.build(context_shape)

    def call(self, z, context=None):
        first, *others = self.layers
        a = first(z)
        if context is not None:
            a += self.context_layer(context)
        for layer in others:
            a = layer(self.activation(a))
        return tf.reshape(a, tf.concat([tf.shape(a)[:-1], [-1, self.params]], 0))


class _MaskedDense(keras.layers.Layer):
    """x @ W + b where W is zero outside a mask; units start with weights of one length.

    With weight normalisation W = gain * mask * V / |mask * V|, column by column.
    """

    def __init__(self, mask: np.ndarray, gain: float, weight_norm: bool, **kwargs):
        super().__init__(**kwargs)
        self.mask = mask.astype("float32")
        self.gain = gain
        self.weight_norm = weight_norm

    def build(self, x_shape):
        def start(shape, dtype):
            directions = keras.initializers.RandomNormal(stddev=1.0)(shape, dtype)
            return self.gain * tf.math.l2_normalize(self.mask * directions, axis=0)

        units = self.mask.shape[1:]
        self.kernel = self.add_weight(self.mask.shape, start, name="kernel")
        self.bias = self.add_weight(units, "zeros", name="bias")
        if self.weight_norm:
            gains = keras.initializers.Constant(self.gain)
            self.length = self.add_weight(units, gains, name="length")

    def call(self, x):
        kernel = self.kernel * self.mask
        if self.weight_norm:
            kernel = self.length * tf.math.l2_normalize(kernel, axis=0)
        return tf.tensordot(x, kernel, 1) + self.bias


@keras.saving.register_keras_serializable("zoo")
class IAF(keras.layers.Layer):
    """Inverse autoregressive flow: `call(h)` returns the map of z as a `tfb.Bijector`.

    Each step has a MADE of its own and sees the latents in the opposite order:

        [m, s] = MADE(z, h)
        gated:  g = sigmoid(s + forget_bias),  z <- g * z + (1 - g) * m
        plain:  z <- m + exp(s) * z

    The log-determinant is the sum of log g, or of s, over latents and steps. `forward`
    and its log-determinant take one parallel pass through each MADE. `inverse` exists
    and takes D passes: a density of the flow's own samples never needs it.

    The order is turned round in the masks and not in the data: nothing is permuted, and
    a step whose gates are wide open is the identity.

    Args:
        latent_dim: number of latent dimensions D.
        steps: length of the chain T.
        units: widths of each MADE's hidden layers.
        gated: the gated form, which is the more stable one; otherwise the plain one.
        forget_bias: how far open the gates are at first; the paper has 1 to 2.
        activation: Keras activation of the MADEs.
        weight_norm: whether the MADEs' weights are normalised.

    Raises:
        ValueError: if there is not at least one step.

    Example:
        flow = zoo.IAF(latent_dim=32, steps=4)
        q = tfd.TransformedDistribution(base, flow(h))
        z, log_q = q.experimental_sample_and_log_prob(seed=seed)

    Reference: Kingma et al., "Improving Variational Inference with Inverse
    Autoregressive Flow", 2016, eqs. 9-11 (plain), algorithm 1 and eq. 14 (gated).
    """

    def __init__(
        self,
        latent_dim: int,
        steps: int = 4,
        units: Sequence[int] = (256,),
        gated: bool = True,
        forget_bias: float = 2.0,
        activation: str = "elu",
        weight_norm: bool = True,
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", **kwargs})
        if steps < 1:
            raise ValueError(f"`steps` must be at least 1. Received: steps={steps}")
        self.latent_dim = latent_dim
        self.gated = gated
        self.forget_bias = forget_bias
        self.mades = [
            MADE(2, units, step % 2 == 1, activation, weight_norm)
            for step in range(steps)
        ]

    def build(self, context_shape=None):
        for made in self.mades:
            made.build((None, self.latent_dim), context_shape)

    def call(self, context=None) -> tfb.Bijector:
        return tfb.Chain([self._step(made, context) for made in reversed(self.mades)])

    def _step(self, made: MADE, context) -> tfb.Bijector:
        def elementwise(z):
            m, s = tf.unstack(made(z, context), axis=-1)
            if self.gated:
                s += self.forget_bias
                m, s = tf.sigmoid(-s) * m, tf.math.log_sigmoid(s)
            return tfb.Invert(tfb.Shift(m)(tfb.Scale(log_scale=s)))

        # TFP's autoregressive map is fast from its outputs to its inputs.
        return tfb.Invert(tfb.MaskedAutoregressiveFlow(bijector_fn=_once(elementwise)))


def _once(function: Callable) -> Callable:
    """The function, not repeated for a symbolic tensor that comes twice in a row.

    TFP asks for z and for the log-determinant one after the other; without this the
    graph would hold every MADE twice, and its gradient too.
    """
    last = None, None

    def remembering(z):
        nonlocal last
        if z is not last[0] or not tf.is_symbolic_tensor(z):
            last = z, function(z)
        return last[1]

    return remembering


def iaf(latent_dim: int, **options) -> tfb.Bijector:
    """An inverse autoregressive flow without context, as a trainable `tfb.Bijector`.

    Its weights are its `trainable_variables`, as with every bijector of TFP.

    Args:
        latent_dim: number of latent dimensions D.
        **options: those of `IAF`.

    Example:
        base = tfd.MultivariateNormalDiag(tf.zeros(2))
        q = tfd.TransformedDistribution(base, zoo.iaf(2, steps=4))
    """
    flow = IAF(latent_dim, **options)
    bijector = flow()
    bijector.flow_variables = [weight.value for weight in flow.trainable_weights]
    return bijector
