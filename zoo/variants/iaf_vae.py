"""IAF-VAE: a diagonal normal posterior, bent by inverse autoregressive flow."""

from collections.abc import Sequence

import keras

from zoo.heads import IAFPosterior
from zoo.vae import VAE


@keras.saving.register_keras_serializable("zoo")
class IAFVAE(VAE):
    """VAE whose posterior is an inverse autoregressive flow.

        [mu, sigma, h] = encoder(x),  z_0 = mu + sigma * eps,  z = IAF(z_0; h)
        log q(z|x) = log N(z_0; mu, sigma^2) - log |det dz / dz_0|

    The rate has no closed form and is the one-sample estimate log q(z|x) - log p(z).
    `encode` returns the flow's image of mu. With gates wide open this is `VAE`.

    Args:
        encoder, decoder, latent_dim: as for `VAE`.
        steps, units, context_dim, gated, forget_bias: as for `zoo.IAFPosterior`.
        **kwargs: those of `VAE`, without `posterior`.

    Example:
        objective = zoo.objectives.ELBO(free_bits=4.0)  # as in the paper
        vae = zoo.IAFVAE(encoder, decoder, latent_dim=32, objective=objective)

    Reference: Kingma et al., "Improving Variational Inference with Inverse
    Autoregressive Flow", 2016, algorithm 1 and eqs. 14-15.
    """

    derived = ("posterior",)

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
        flow = IAFPosterior(latent_dim, steps, units, context_dim, gated, forget_bias)
        super().__init__(encoder, decoder, latent_dim, posterior=flow, **kwargs)
        self.steps = steps
        self.units = list(units)
        self.context_dim = context_dim
        self.gated = gated
        self.forget_bias = forget_bias
