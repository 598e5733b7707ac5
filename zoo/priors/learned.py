"""Priors whose shape is learned with the model.

A prior that fits the aggregate posterior makes the rate cheaper. None of these has an
analytic rate: `bounds.rate` takes the one-sample estimate.
"""

import math

import keras
import tensorflow as tf
from tensorflow_probability import bijectors as tfb
from tensorflow_probability import distributions as tfd

from zoo import checks, internals
from zoo.flows.coupling import Coupling
from zoo.priors.base import Prior


@keras.saving.register_keras_serializable("zoo")
class MixturePrior(Prior):
    """p(z) = sum_c softmax(logits)_c N(z; loc_c, diag(scale_c^2)), all learned.

    The components start spread out, and their mixture with unit variance.

    Args:
        latent_dim: number of latent dimensions D.
        components: number of components C.
        min_scale: added to the softplus scales, so that log p stays finite.

    Example:
        prior = zoo.MixturePrior(latent_dim=32, components=64)
    """

    def __init__(
        self, latent_dim: int, components: int, min_scale: float = 1e-4, **kwargs
    ):
        super().__init__(latent_dim, **kwargs)
        checks.at_least(1, components=components)
        self.components = components
        self.min_scale = min_scale

    def build(self, input_shape):
        shape = (self.components, self.latent_dim)
        spread = math.sqrt(0.5)
        self.logits = self.add_weight(
            shape=(self.components,), initializer="zeros", name="logits"
        )
        self.loc = self.add_weight(
            shape=shape, initializer=keras.initializers.RandomNormal(0.0, spread)
        )
        self.raw_scale = self.add_weight(
            shape=shape,
            initializer=keras.initializers.Constant(math.log(math.expm1(spread))),
        )

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
    Each step encodes them beside its batch.

    Args:
        latent_dim: number of latent dimensions D.
        components: number of pseudo-inputs C.

    At first all codes are alike, and it costs nothing to leave them so: raise `beta`
    from 0 over the first epochs, as the paper does.

    Raises:
        ValueError: when asked for p(z) by a model whose posterior is a flow: the
            density of another's z would need its sequential inverse; or by one whose
            encoder has batch normalisation, whose statistics the pseudo-inputs would
            change.

    Example:
        vae = zoo.VAE(encoder, decoder, 32, prior=zoo.VampPrior(32, components=500))

    Reference: Tomczak & Welling, "VAE with a VampPrior", 2018, eq. 9.
    """

    def __init__(self, latent_dim: int, components: int, **kwargs):
        super().__init__(latent_dim, **kwargs)
        checks.at_least(1, components=components)
        self.components = components

    def build(self, input_shape):
        self.raw_inputs = self.add_weight(
            shape=(self.components, *input_shape[1:]),
            initializer=keras.initializers.RandomNormal(stddev=1.0),
            name="pseudo_inputs",
        )

    def pseudo_inputs(self, model: keras.Model) -> tf.Tensor:
        """u in the units of the data, `[C, *event_shape]`."""
        low, high = model.likelihood_head.support
        if math.isinf(high - low):
            return tf.convert_to_tensor(self.raw_inputs)
        return low + (high - low) * tf.sigmoid(self.raw_inputs)

    def distribution(self, model: keras.Model) -> tfd.Distribution:
        checks.require(
            not internals.layers_of(model.encoder, keras.layers.BatchNormalization),
            "A VampPrior needs an encoder without batch normalisation.",
            f"encoder={model.encoder.name}",
        )
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


@keras.saving.register_keras_serializable("zoo")
class FlowPrior(Prior):
    """RealNVP: a standard normal, bent by a chain of affine couplings.

    Each coupling leaves one part of z as it is and, from it, shifts and scales the
    other: z_b <- z_b * exp(s(z_a)) + t(z_a); the parts change roles from one to the
    next. Density and sampling both take one pass. It starts as N(0, I).

    Args:
        latent_dim: number of latent dimensions D, at least 2.
        layers: number of couplings; two change every dimension.
        units: width of the two hidden layers of each coupling's network.

    Raises:
        ValueError: if `latent_dim` is less than 2.

    Example:
        prior = zoo.FlowPrior(latent_dim=32, layers=6, units=128)

    Reference: Dinh et al., "Density Estimation Using Real NVP", 2017, section 3.
    """

    def __init__(self, latent_dim: int, layers: int = 4, units: int = 64, **kwargs):
        super().__init__(latent_dim, **kwargs)
        checks.at_least(2, latent_dim=latent_dim)
        self.layers = layers
        self.units = units
        self.num_masked = latent_dim // 2
        num_changed = latent_dim - self.num_masked
        self.couplings = [Coupling(units, num_changed) for _ in range(layers)]

    def build(self, input_shape):
        for coupling in self.couplings:
            coupling.build((None, self.num_masked))

    def bijector(self) -> tfb.Bijector:
        """The flow from the standard normal's z_0 to z, both `[..., D]`."""
        first = self.num_masked
        return tfb.Chain(
            [
                coupling.bijector(-first if index % 2 else first)
                for index, coupling in enumerate(self.couplings)
            ],
            name="flow",  # TFP would join the names of all its parts
        )

    def distribution(self, model: keras.Model) -> tfd.Distribution:
        base = tfd.Independent(tfd.Normal(tf.zeros(self.latent_dim), 1.0), 1)
        return tfd.TransformedDistribution(base, self.bijector())
