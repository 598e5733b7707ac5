"""Autoencoder: the baseline without a rate."""

import keras
import tensorflow_probability as tfp

from zoo import bounds, checks
from zoo.bounds import Latent
from zoo.heads import Head
from zoo.priors import StandardNormal
from zoo.vae import VAE

tfd = tfp.distributions


@keras.saving.register_keras_serializable("zoo")
class Point(Head):
    """q(z|x) with all its mass on one point, linear in the features.

    Args:
        latent_dim: number of latent dimensions D.
    """

    def __init__(self, latent_dim: int, **kwargs):
        super().__init__(**kwargs)
        self.latent_dim = latent_dim
        self.dense = keras.layers.Dense(latent_dim, dtype="float32", name="params")

    def build(self, features_shape):
        self.dense.build(features_shape)

    def call(self, features) -> tfd.Distribution:
        return tfd.Independent(tfd.Deterministic(self.dense(features)), 1)


@keras.saving.register_keras_serializable("zoo")
class Autoencoder(VAE):
    """Minimises the distortion alone.

    It has no prior, so its rate is zero by definition, `elbo` is -distortion, and
    `log_likelihood` is log p(x|z) at the code of x: no bound on log p(x), and not to be
    compared with a VAE's. `sample` decodes standard normal codes, which training
    never asked to be good.

    Args:
        encoder, decoder, latent_dim: as for `VAE`.
        **kwargs: those of `VAE`, without `prior`, `beta` and `free_bits`.

    Raises:
        ValueError: if one of these three is given.

    Example:
        autoencoder = zoo.Autoencoder(encoder, decoder, latent_dim=2)

    Reference: Rumelhart et al., "Learning representations by back-propagating errors",
    1986.
    """

    def __init__(self, encoder, decoder, latent_dim: int, **kwargs):
        kwargs.setdefault("posterior", Point(latent_dim))
        super().__init__(encoder, decoder, latent_dim, **kwargs)
        checks.refuse_options(self, beta=1.0, free_bits=0.0)
        if not isinstance(self.prior_head, StandardNormal):
            raise ValueError(
                f"An Autoencoder has no prior. Received: prior={self.prior_head.name}"
            )

    def infer(self, x, draw):
        posterior = self.posterior(x)
        z, log_q = draw(posterior)
        return [Latent(z, log_q, posterior, prior=posterior)]

    def objective(self, x, latents, likelihood):
        return {"distortion": bounds.distortion(x, likelihood)}
