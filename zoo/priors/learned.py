"""Priors whose shape is learned with the model.

A prior that fits the aggregate posterior makes the rate cheaper. None of these has an
analytic rate: `bounds.rate` takes the one-sample estimate.
"""

import math
from collections.abc import Sequence

import keras
import tensorflow as tf
from tensorflow_probability import bijectors as tfb
from tensorflow_probability import distributions as tfd

from zoo import checks, internals
from zoo.flows import Coupling, GlowSteps
from zoo.priors.shaped import Prior, StandardNormal


@keras.saving.register_keras_serializable("zoo")
class MixturePrior(Prior):
    """p(z) = sum_c softmax(logits)_c N(z; loc_c, diag(scale_c^2)), all learned.

    The components start spread out, and their mixture with unit variance.

    Args:
        latent_dim: number of latent dimensions D.
        components: number of components C.
        min_scale: added to the softplus scales, so that log p stays finite.

    Example:
        vae = zoo.VAE(encoder, decoder, 32, prior=zoo.MixturePrior(32, components=64))
    """

    def __init__(
        self, latent_dim: int, components: int, min_scale: float = 1e-4, **kwargs
    ):
        super().__init__(latent_dim, **kwargs)
        checks.at_least(1, components=components)
        self.components = components
        self.min_scale = min_scale

    def build(self, input_shape):
        shape, spread = (self.components, self.latent_dim), math.sqrt(0.5)
        self.logits = self.add_weight(shape[:1], "zeros", name="logits")
        normal = keras.initializers.RandomNormal(0.0, spread)
        self.loc = self.add_weight(shape, normal)
        constant = keras.initializers.Constant(math.log(math.expm1(spread)))
        self.raw_scale = self.add_weight(shape, constant)

    def distribution(self, model: keras.Model) -> tfd.Distribution:
        scale = tf.nn.softplus(self.raw_scale) + self.min_scale
        return tfd.MixtureSameFamily(
            tfd.Categorical(logits=tf.convert_to_tensor(self.logits)),
            tfd.Independent(tfd.Normal(tf.convert_to_tensor(self.loc), scale), 1),
        )


@keras.saving.register_keras_serializable("zoo")
class VampPrior(Prior):
    """The model's own posterior, averaged over C learned pseudo-inputs u_c:

        p(z) = 1/C sum_c q(z|u_c)

    Where the likelihood's support is bounded, a sigmoid keeps the pseudo-inputs in it.
    Each step encodes them beside its batch. At first all codes are alike, and it costs
    nothing to leave them so: raise `beta` from 0 over the first epochs, as the paper.

    Args:
        latent_dim: number of latent dimensions D.
        components: number of pseudo-inputs C.

    Raises:
        ValueError: when asked for p(z) by a model whose posterior has no density at
            another's z in one pass, such as a flow, whose encoder has batch
            normalisation: the pseudo-inputs would change its statistics; or with
            conditions, which no pseudo-input has.

    Reference: Tomczak & Welling, "VAE with a VampPrior", 2018, eq. 9.
    """

    def __init__(self, latent_dim: int, components: int, **kwargs):
        super().__init__(latent_dim, **kwargs)
        checks.at_least(1, components=components)
        self.components = components

    def build(self, input_shape):
        shape = (self.components, *input_shape[1:])
        normal = keras.initializers.RandomNormal(stddev=1.0)
        self.raw_inputs = self.add_weight(shape, normal, name="pseudo_inputs")

    def pseudo_inputs(self, model: keras.Model) -> tf.Tensor:
        """u in the units of the data, `[C, *event_shape]`."""
        low, high = model.likelihood_head.support
        if math.isinf(high - low):
            return tf.convert_to_tensor(self.raw_inputs)
        return low + (high - low) * tf.sigmoid(self.raw_inputs)

    def distribution(self, model: keras.Model) -> tfd.Distribution:
        wanted = "A VampPrior needs a model without conditions."
        checks.require(len(model.fields) == 1, wanted, ", ".join(model.fields))
        norms = internals.layers_of(model.encoder, keras.layers.BatchNormalization)
        wanted = "A VampPrior needs an encoder without batch normalisation."
        checks.require(not norms, wanted, f"encoder={model.encoder.name}")
        posterior = model.posterior(model.features(self.pseudo_inputs(model), {}))
        closed_form = (tfd.Independent, tfd.MultivariateNormalLinearOperator)
        checks.require(
            isinstance(posterior, closed_form),
            "A VampPrior needs a posterior whose density at any z has a closed form, "
            "such as `DiagonalNormal`.",
            f"posterior={posterior.name}",
        )
        equal = tfd.Categorical(logits=tf.zeros(self.components))
        return tfd.MixtureSameFamily(equal, posterior)


class BentNormal(StandardNormal):
    """Base of a standard normal that a flow bends."""

    def bijector(self) -> tfb.Bijector:
        """The flow from the standard normal's z_0 to z, both `[..., D]`."""
        raise NotImplementedError

    def distribution(self, model: keras.Model) -> tfd.Distribution:
        return tfd.TransformedDistribution(super().distribution(model), self.bijector())


@keras.saving.register_keras_serializable("zoo")
class FlowPrior(BentNormal):
    """RealNVP: a standard normal, bent by a chain of affine couplings.

    Each coupling leaves one part of z as it is and, from it, shifts and scales the
    other: z_b <- z_b * exp(s(z_a)) + t(z_a); the parts change roles from one to the
    next. Density and sampling both take one pass. It starts as N(0, I).

    Args:
        latent_dim: number of latent dimensions D, at least 2.
        layers: number of couplings; two change every dimension.
        units: width of the two hidden layers of each coupling's network.

    Raises:
        ValueError: if `latent_dim` is less than 2, or another number less than 1.

    Reference: Dinh et al., "Density Estimation Using Real NVP", 2017, section 3.
    """

    def __init__(self, latent_dim: int, layers: int = 4, units: int = 64, **kwargs):
        super().__init__(latent_dim, **kwargs)
        checks.at_least(2, latent_dim=latent_dim)
        checks.at_least(1, layers=layers, units=units)
        self.layers = layers
        self.units = units
        self.num_masked = kept = latent_dim // 2
        self.couplings = [Coupling(units, latent_dim - kept) for _ in range(layers)]

    def build(self, input_shape):
        for coupling in self.couplings:
            coupling.build((None, self.num_masked))

    def bijector(self):
        chain = [
            coupling.bijector(-self.num_masked if index % 2 else self.num_masked)
            for index, coupling in enumerate(self.couplings)
        ]
        return tfb.Chain(chain, name="flow")  # TFP would join the names of its parts


@keras.saving.register_keras_serializable("zoo")
class GlowPrior(BentNormal):
    """A standard normal, bent by the steps of Glow; see `zoo.flows.GlowSteps`.

    The density takes one pass forward, `zoo.networks.initialise` sets up its actnorm.

    Args:
        latent_dim: number of latent dimensions D, at least 2.
        shape: height, width and channels of the map that z is seen as, D places in all;
            by default one place of D channels.
        steps: of actnorm, invertible 1x1 convolution and affine coupling.
        units: channels of the couplings' hidden layers.

    Raises:
        ValueError: if `shape` has not D places, or less than two channels.

    Reference: Kingma & Dhariwal, "Glow: Generative Flow with Invertible 1x1
    Convolutions", 2018, section 3.
    """

    def __init__(
        self,
        latent_dim: int,
        shape: Sequence[int] | None = None,
        steps: int = 4,
        units: int = 32,
        **kwargs,
    ):
        super().__init__(latent_dim, **kwargs)
        self.shape = tuple(shape or (1, 1, latent_dim))
        self.steps = steps
        self.units = units
        self.flow = GlowSteps(self.shape, steps, units)
        wanted = f"`shape` must have `latent_dim`, {latent_dim}, places."
        fits = math.prod(self.shape) == latent_dim
        checks.require(fits, wanted, f"shape={self.shape}")

    def build(self, input_shape):
        self.flow.build()

    def bijector(self):
        return tfb.Invert(self.flow.bijector())
