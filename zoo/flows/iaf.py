"""Inverse autoregressive flow: its weights in Keras layers, its maps as bijectors."""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf
from tensorflow_probability import bijectors as tfb

from zoo import checks, internals
from zoo.flows.made import MADE


@keras.saving.register_keras_serializable("zoo")
class IAF(keras.layers.Layer):
    """Inverse autoregressive flow: `call(h)` returns the map of z as a `tfb.Bijector`.

    Each step has a MADE of its own and sees the latents in the opposite order, by its
    masks: nothing is permuted, and a step whose gates are wide open is the identity.

        [m, s] = MADE(z, h)
        gated:  g = sigmoid(s + forget_bias),  z <- g * z + (1 - g) * m
        plain:  z <- m + exp(s) * z

    The log-determinant is the sum of log g, or of s, over latents and steps. `forward`
    takes one parallel pass through each MADE, `inverse` D passes: a density of the
    flow's own samples never needs it.

    Args:
        latent_dim: number of latent dimensions D.
        steps: length of the chain T.
        gated: the gated form, which is the more stable one; otherwise the plain one.
        forget_bias: how far open the gates are at first; the paper has 1 to 2.
        units, activation, weight_norm: of every step, as for `MADE`.

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
        checks.at_least(1, steps=steps)
        self.latent_dim = latent_dim
        self.steps = steps
        self.gated = gated
        self.forget_bias = forget_bias
        orders = [step % 2 == 1 for step in range(steps)]
        self.made = MADE(2, units, orders, activation, weight_norm)

    def build(self, context_shape=None):
        self.made.build((None, self.latent_dim), context_shape)

    def call(self, context=None) -> tfb.Bijector:
        return Loop(self._elementwise, lambda: self.made.affine_maps(context))

    def _elementwise(self, z, maps) -> tfb.Bijector:
        m, s = tf.unstack(self.made.outputs(z, maps), axis=-1)
        if self.gated:
            s += self.forget_bias
            m, s = tf.sigmoid(-s) * m, tf.math.log_sigmoid(s)
        return tfb.Shift(m)(tfb.Scale(log_scale=s))


class Loop(internals.CachingBijector):
    """Chain of T autoregressive bijectors as one loop of the graph.

    They differ in their weights only, so that the chain's length makes a graph no
    larger, and XLA no slower to compile it. z must have the batch of the context.

    Args:
        elementwise: makes, from z and the weights of one step, the bijector that this
            step applies to every latent; latent d's depends on those before it alone.
        weights: returns the weights of all steps, a structure of tensors `[T, ...]`.
    """

    def __init__(self, elementwise: Callable, weights: Callable):
        parameters = dict(locals())
        self.elementwise = elementwise
        self.weights = weights
        options = {"parameters": parameters, "dtype": tf.float32, "name": "loop"}
        super().__init__(forward_min_event_ndims=1, **options)

    @classmethod
    def _parameter_properties(cls, dtype):
        return {}  # functions, which have no shape

    def path(self, z) -> tuple[tf.Tensor, tf.Tensor]:
        """z and the log-determinant after each step, `[T, ..., D]` and `[T, ...]`."""

        def add_step(state, weights):
            z, log_det = state
            step = self.elementwise(z, weights)
            log_det += step.forward_log_det_jacobian(z, event_ndims=1)
            return tf.ensure_shape(step.forward(z), z.shape), log_det

        return tf.scan(add_step, self.weights(), (z, tf.zeros_like(z[..., 0])))

    def _forward_and_attributes(self, z):
        points, log_dets = self.path(z)
        return points[-1], {"ildj": -log_dets[-1]}

    def _forward_log_det_jacobian(self, z):
        return self.path(z)[1][-1]

    def _inverse_and_attributes(self, z):
        def undo_step(z, weights):
            # TFP's autoregressive map takes one pass from outputs to inputs; this is
            # its other direction, latent by latent.
            step = tfb.MaskedAutoregressiveFlow(
                bijector_fn=lambda z: tfb.Invert(self.elementwise(z, weights))
            )
            return tf.ensure_shape(step.forward(z), z.shape)

        return tf.scan(undo_step, self.weights(), z, reverse=True)[0], None


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
