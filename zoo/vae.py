"""VAE: an encoder, heads, and a decoder around one layer of latents."""

import keras
from tensorflow_probability import distributions as tfd

from zoo import checks, parts
from zoo.heads import DiagonalNormal
from zoo.latent import LatentVariableModel
from zoo.priors import Prior, StandardNormal


@keras.saving.register_keras_serializable("zoo")
class VAE(LatentVariableModel):
    """Variational autoencoder; most other models override some of its hooks.

    Minimises distortion + rate, or what else the objective says.

    Args:
        encoder: Keras network from data `[B, *event_shape]` to features `[B, H]`.
        decoder: Keras network from latents `[B, latent_dim]` to the likelihood's
            parameters `[B, *event_shape]`.
        latent_dim: number of latent dimensions D.
        posterior: head that turns features into q(z|x), by default `DiagonalNormal`.
        prior: p(z), by default `StandardNormal`.
        **kwargs: `likelihood`, the head that turns parameters into p(x|z), by default
            `Bernoulli`; `objective`, what training minimises, by default
            `zoo.objectives.ELBO()`; and `seed`, of the noise that it draws.

    Raises:
        ValueError: if the networks, the heads and `latent_dim` do not fit together.

    Example:
        encoder = zoo.networks.conv_encoder((28, 28, 1))
        decoder = zoo.networks.conv_decoder(32, (28, 28, 1))
        vae = zoo.VAE(encoder, decoder, latent_dim=32)
        vae.compile(keras.optimizers.Adam(1e-3))
        vae.fit(images, batch_size=128, epochs=20)

    Reference: Kingma & Welling, "Auto-Encoding Variational Bayes", 2014, eq. 10.
    """

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        latent_dim: int,
        *,
        posterior: keras.layers.Layer | None = None,
        prior: Prior | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        checks.at_least(1, latent_dim=latent_dim)
        self.encoder = encoder
        self.decoder = decoder
        self.latent_dim = latent_dim
        self.posterior_head = posterior or DiagonalNormal(latent_dim)
        self.prior_head = prior or StandardNormal(latent_dim)

    def complete(self):
        parts.check_networks(self)
        super().complete()

    # Hooks.

    def features(self, x, given):
        """The encoder's features, `[B, H]`."""
        return self.encoder(x)

    def prior(self, given) -> tfd.Distribution:
        """p(z), event shape `[D]`, for one row or one for each image."""
        if not self.prior_head.built:
            self.prior_head.build(self.encoder.input_shape)
        prior = self.prior_head.distribution(self)
        wanted = "`prior` must be one distribution of event shape [D], not one per row."
        parts.check_distribution("The prior", prior)
        checks.require(prior.batch_shape.rank == 0, wanted, prior)
        return prior

    def posterior(self, features) -> tfd.Distribution:
        """q(z|x), batch shape `[B]`, event shape `[D]`."""
        return self.posterior_head(features)

    def walk(self, draw, features=None, given=None):
        posterior = None if features is None else self.posterior(features)
        return draw(self.prior(given), posterior)

    def likelihood(self, out, given):
        return self.likelihood_head(self.decoder(out))

    @property
    def top_dim(self) -> int:
        """Number of dimensions of the layer that the prior stands above."""
        return self.latent_dim

    @property
    def decoder_dim(self) -> int:
        """Number of dimensions that the decoder takes; conditions may add to z's."""
        return self.latent_dim

    @property
    def event_shape(self):
        return tuple(self.encoder.input_shape[1:])
