"""Layers of latents on top of one another: p(z) = p(z_L) prod_i p(z_i|z_{i+1}).

The generative half that hierarchical VAEs share. z_1 is the bottom layer, which the
decoder sees, and z_L the top one; lists of latents are nevertheless top layer first.
"""

from collections.abc import Sequence

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from zoo.draws import Centre
from zoo.heads import Head
from zoo.priors import Prior, StandardNormal, VampPrior
from zoo.vae import VAE

tfd = tfp.distributions


def mlp(units: int, batch_norm: bool) -> keras.Sequential:
    """d(y) of two leaky rectifier layers, `[B, Y] -> [B, units]`."""
    network = keras.Sequential()
    for _ in range(2):
        network.add(linear(units, batch_norm))
        network.add(keras.layers.LeakyReLU(0.1, dtype="float32"))
    return network


def linear(units: int, batch_norm: bool) -> keras.Sequential:
    """A linear map `[B, Y] -> [B, units]`, each of its outputs batch normalised."""
    network = keras.Sequential()
    network.add(keras.layers.Dense(units, use_bias=not batch_norm, dtype="float32"))
    if batch_norm:
        network.add(keras.layers.BatchNormalization(dtype="float32"))
    return network


@keras.saving.register_keras_serializable("zoo")
class ConditionalNormal(Head):
    """N(mu(y), diag(sigma^2(y))) for y `[..., Y]`, event shape `[D]`.

        d = MLP(y),  mu = Linear(d),  sigma^2 = softplus(Linear(d)) + min_variance

    With `batch_norm` both linear maps are normalised too, before the softplus.

    Args:
        latent_dim: number of latent dimensions D.
        units: width of the MLP's two layers; without it d = y.
        batch_norm: normalise every linear map over all leading axes of y.
        min_variance: added to the variance, so that rates stay finite.

    Reference: Sonderby et al., 2016, section 2.
    """

    def __init__(
        self,
        latent_dim: int,
        units: int | None = None,
        batch_norm: bool = True,
        min_variance: float = 1e-4,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.latent_dim = latent_dim
        self.min_variance = min_variance
        self.hidden = mlp(units, batch_norm) if units else keras.layers.Identity()
        self.params = linear(2 * latent_dim, batch_norm)

    def build(self, y_shape):
        self.hidden.build((None, y_shape[-1]))
        self.params.build(self.hidden.compute_output_shape((None, y_shape[-1])))

    def call(self, y) -> tfd.Distribution:
        params = self.params(self.hidden(tf.reshape(y, [-1, y.shape[-1]])))
        params_shape = tf.concat([tf.shape(y)[:-1], [2 * self.latent_dim]], axis=0)
        loc, raw_variance = tf.split(tf.reshape(params, params_shape), 2, axis=-1)
        variance = tf.nn.softplus(raw_variance) + self.min_variance
        return tfd.Independent(tfd.Normal(loc, tf.sqrt(variance)), 1)


class Hierarchy(VAE):
    """Base of the hierarchical VAEs: a VAE with further latent layers above its own.

    p(x, z) = p(x|z_1) p(z_1|z_2) ... p(z_{L-1}|z_L) p(z_L), where the conditionals are
    normal and learned. A subclass says how z is inferred.

    Args:
        encoder: Keras network from data `[B, *event_shape]` to features `[B, H]`.
        decoder: Keras network from the bottom layer z_1 `[B, latent_dim]` to the
            likelihood's parameters `[B, *event_shape]`.
        latent_dim: number of dimensions of the bottom layer z_1.
        upper_dims: numbers of dimensions of z_2, ..., z_L.
        upper_units: widths of the MLPs between z_1 and z_2, ..., z_{L-1} and z_L, up
            and down alike.
        batch_norm: batch normalise these MLPs and all means and variances; after
            training, see `zoo.evaluation.batch_norm`.
        posterior: head of the bottom layer, by default `ConditionalNormal`.
        prior: p(z_L), by default `StandardNormal`.
        **kwargs: as for `VAE`.

    Raises:
        ValueError: if the networks, the heads and the sizes do not fit together.
    """

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        latent_dim: int,
        upper_dims: Sequence[int] = (),
        upper_units: Sequence[int] = (),
        *,
        batch_norm: bool = True,
        posterior: keras.layers.Layer | None = None,
        prior: Prior | None = None,
        **kwargs,
    ):
        if len(upper_dims) != len(upper_units):
            raise ValueError(
                "`upper_dims` and `upper_units` must have one entry for each layer "
                f"above the bottom. Received: upper_dims={tuple(upper_dims)}, "
                f"upper_units={tuple(upper_units)}"
            )
        posterior = posterior or ConditionalNormal(latent_dim, batch_norm=batch_norm)
        super().__init__(encoder, decoder, latent_dim, posterior=posterior, **kwargs)
        self.upper_dims = tuple(upper_dims)
        self.upper_units = tuple(upper_units)
        self.batch_norm = batch_norm
        *lower_dims, top_dim = (latent_dim, *upper_dims)
        self.prior_head = prior or StandardNormal(top_dim)
        if self.prior_head.latent_dim != top_dim:
            raise ValueError(
                f"`prior` must have latent_dim={top_dim}, as the top layer. "
                f"Received: latent_dim={self.prior_head.latent_dim}"
            )
        if isinstance(prior, VampPrior):
            raise ValueError(
                "`prior` stands above the top layer, but a VampPrior is made of the "
                f"bottom layer's posterior. Received: prior={prior.name}"
            )
        if not self.prior_head.built:
            self.prior_head.build(self.encoder.input_shape)
        self.conditionals = [  # p(z_i|z_{i+1}), top first
            ConditionalNormal(dim, units, batch_norm)
            for dim, units in zip(lower_dims[::-1], self.upper_units[::-1])
        ]
        self.add_inference_layers()
        self.infer(tf.zeros((1, *self.event_shape)), Centre())  # builds every layer

    def add_inference_layers(self) -> None:
        """Makes what `infer` needs beside `encoder` and `posterior_head`."""
        raise NotImplementedError

    def likelihood(self, *z) -> tfd.Distribution:
        """p(x|z_1) for latents `[..., D_i]`, top first: z_1 is the last."""
        return super().likelihood(z[-1])

    def generate(self, draw) -> list[tf.Tensor]:
        z, _ = draw(self.prior())
        latents = [z]
        for conditional in self.conditionals:
            z, _ = draw(conditional(z))
            latents.append(z)
        return latents
