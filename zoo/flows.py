"""Flows: invertible maps of z whose log-determinant costs nothing extra.

The weights live in Keras layers; the maps are `tfb.Bijector`s made from them.
"""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from zoo.networks.made import MADE

tfb = tfp.bijectors


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
        self.steps = steps
        self.gated = gated
        self.forget_bias = forget_bias
        orders = [step % 2 == 1 for step in range(steps)]
        self.made = MADE(2, units, orders, activation, weight_norm)

    def build(self, context_shape=None):
        self.made.build((None, self.latent_dim), context_shape)

    def call(self, context=None) -> tfb.Bijector:
        return Loop(self._step, lambda: self.made.affine_maps(context))

    def _step(self, maps) -> tfb.Bijector:
        def elementwise(z):
            m, s = tf.unstack(self.made.outputs(z, maps), axis=-1)
            if self.gated:
                s += self.forget_bias
                m, s = tf.sigmoid(-s) * m, tf.math.log_sigmoid(s)
            return tfb.Invert(tfb.Shift(m)(tfb.Scale(log_scale=s)))

        # TFP's autoregressive map is fast from its outputs to its inputs.
        return tfb.Invert(tfb.MaskedAutoregressiveFlow(bijector_fn=_once(elementwise)))


class Loop(tfb.Bijector):
    """Chain of T bijectors that differ in their weights, as one loop of the graph.

    So its depth makes a graph no larger, and XLA no slower to compile it.

    Args:
        step: makes a bijector of vectors `[..., D]` from the weights of one.
        weights: returns the weights of all, a structure of tensors `[T, ...]`.
    """

    def __init__(self, step: Callable, weights: Callable):
        parameters = dict(locals())
        self.step = step
        self.weights = weights
        self.path = _once(self.path)
        super().__init__(
            forward_min_event_ndims=1,
            dtype=tf.float32,
            parameters=parameters,
            name="loop",
        )

    @classmethod
    def _parameter_properties(cls, dtype):
        return {}  # none of them has a batch shape

    def path(self, z) -> tuple[tf.Tensor, tf.Tensor]:
        """z and the log-determinant after each step, `[T, ..., D]` and `[T, ...]`."""

        def add_step(state, weights):
            z, log_det = state
            step = self.step(weights)
            log_det += step.forward_log_det_jacobian(z, event_ndims=1)
            return tf.ensure_shape(step.forward(z), z.shape), log_det

        return tf.scan(add_step, self.weights(), (z, tf.zeros_like(z[..., 0])))

    def _forward(self, z):
        return self.path(z)[0][-1]

    def _forward_log_det_jacobian(self, z):
        return self.path(z)[1][-1]

    def _inverse(self, z):
        def undo_step(z, weights):
            return tf.ensure_shape(self.step(weights).inverse(z), z.shape)

        return tf.scan(undo_step, self.weights(), z, reverse=True)[0]


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
