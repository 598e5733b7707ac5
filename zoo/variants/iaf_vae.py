"""IAF-VAE: a diagonal normal posterior, bent by inverse autoregressive flow."""

from collections.abc import Sequence

import keras
import tensorflow_probability as tfp

from zoo.flows import IAF
from zoo.heads import Head
from zoo.posteriors import DiagonalNormal
from zoo.vae import VAE

tfd = tfp.distributions


@keras.saving.register_keras_serializable("zoo")
class IAFPosterior(Head):
    """q(z|x) = IAF(z_0; h) with z_0 ~ N(loc, diag(scale^2)).

    loc, scale and the context h come from the encoder's features. A draw and its
    log q(z|x) take one pass; the density of any other z takes D passes a step.

    Args:
        latent_dim: number of latent dimensions D.
        steps: length of the flow's chain.
        units: widths of the hidden layers of each step.
        context_dim: size of the context h; 0 for none.
        gated: gated steps, otherwise plain ones; see `IAF`.
        forget_bias: how far open the gates are at first.

    Example:
        posterior = zoo.IAFPosterior(latent_dim=32)(encoder(x))

    Reference: Kingma et al., 2016, algorithm 1.
    """

    def __init__(
        self,
        latent_dim: int,
        steps: int = 4,
        units: Sequence[int] = (256,),
        context_dim: int = 64,
        gated: bool = True,
        forget_bias: float = 2.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.latent_dim = latent_dim
        self.context_dim = context_dim
        self.base = DiagonalNormal(latent_dim)
        if context_dim:
            self.context = keras.layers.Dense(context_dim, "elu", dtype="float32")
        self.flow = IAF(latent_dim, steps, units, gated, forget_bias)

    def build(self, features_shape):
        self.base.build(features_shape)
        if self.context_dim:
            self.context.build(features_shape)
        self.flow.build((None, self.context_dim) if self.context_dim else None)

    def call(self, features) -> tfd.Distribution:
        flow = self.flow(self.context(features) if self.context_dim else None)
        return tfd.TransformedDistribution(self.base(features), flow)


@keras.saving.register_keras_serializable("zoo")
class IAFVAE(VAE):
    """VAE whose posterior is an inverse autoregressive flow.

        [mu, sigma, h] = encoder(x),  z_0 = mu + sigma * eps,  z = IAF(z_0; h)
        log q(z|x) = log N(z_0; mu, sigma^2) - log |det dz / dz_0|

    The rate has no closed form and is the one-sample estimate log q(z|x) - log p(z).
    `encode` returns the flow's image of mu. `free_bits`, as in the paper, keeps the
    rate from collapsing early.

    Args:
        encoder, decoder, latent_dim: as for `VAE`.
        steps: length of the flow's chain.
        units: widths of the hidden layers of each step.
        context_dim: size of the context h; 0 for none.
        gated: gated steps, otherwise plain ones; see `IAF`.
        forget_bias: how far open the gates are at first; wide open, this is `VAE`.
        **kwargs: those of `VAE`, without `posterior`.

    Example:
        encoder = zoo.networks.residual_encoder((28, 28, 1))
        decoder = zoo.networks.residual_decoder(32, (28, 28, 1))
        vae = zoo.IAFVAE(encoder, decoder, latent_dim=32, steps=4, free_bits=4.0)

    Reference: Kingma et al., "Improving Variational Inference with Inverse
    Autoregressive Flow", 2016, algorithm 1 and eqs. 14-15.
    """

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        latent_dim: int,
        *,
        steps: int = 4,
        units: Sequence[int] = (256,),
        context_dim: int = 64,
        gated: bool = True,
        forget_bias: float = 2.0,
        **kwargs,
    ):
        posterior = IAFPosterior(
            latent_dim, steps, units, context_dim, gated, forget_bias
        )
        super().__init__(encoder, decoder, latent_dim, posterior=posterior, **kwargs)
        self.steps = steps
        self.units = list(units)
        self.context_dim = context_dim
        self.gated = gated
        self.forget_bias = forget_bias

    def get_config(self):
        config = super().get_config()
        del config["posterior"]  # made of the arguments above
        return config
