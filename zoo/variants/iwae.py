"""Importance-weighted autoencoder."""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from zoo import bounds, checks, schedules
from zoo.posteriors import diagonal_normal
from zoo.vae import VAE

tfd = tfp.distributions


@keras.saving.register_keras_serializable("zoo")
class IWAE(VAE):
    """Takes the K samples inside the logarithm: a tighter bound, a richer posterior.

    Minimises -log (1/K) sum_k w_k with log w_k = log p(x|z_k) + beta (log p(z_k) -
    log q(z_k|x)); K = 1 is the VAE.

    As K grows the encoder's gradient drowns in noise (Rainforth et al., 2018). The
    doubly reparameterised gradient has the same mean and keeps its signal: with
    normalised weights v_k, the decoder learns from sum_k v_k d log w_k, the encoder
    from

        sum_k v_k (1 - beta + beta v_k) (d log w_k / dz_k) dz_k,

    without the score of q; at beta = 1 these are the paper's squared weights.

    Args:
        num_samples: importance samples K per example and step.
        doubly_reparameterised: use that gradient; needs a diagonal normal posterior.
        **kwargs: those of `VAE`, without `free_bits`.

    Raises:
        ValueError: if `free_bits` is given, or the posterior is not a diagonal normal
            where one is needed.

    Example:
        iwae = zoo.IWAE(encoder, decoder, latent_dim=50, num_samples=50)

    Reference: Burda et al., "Importance Weighted Autoencoders", 2016, eq. 8; Tucker et
    al., "Doubly Reparameterized Gradient Estimators", 2019.
    """

    def __init__(
        self,
        *args,
        num_samples: int = 5,
        doubly_reparameterised: bool = False,
        **kwargs,
    ):
        super().__init__(*args, num_samples=num_samples, **kwargs)
        checks.refuse_options(self, free_bits=0.0)
        self.doubly_reparameterised = doubly_reparameterised

    def infer(self, x, draw):
        latents = super().infer(x, draw)
        if not self.doubly_reparameterised:
            return latents
        (latent,) = latents
        self._path = _Path()  # for the objective that follows
        z = self._path(latent.z)
        log_q = without_score(latent.posterior).log_prob(z)
        return [latent._replace(z=z, log_q=log_q)]

    def objective(self, x, latents, likelihood):
        beta = schedules.value(self.beta, self.step)
        log_p = likelihood.log_prob(x)
        log_ratio = bounds.log_weights(tf.zeros_like(log_p), latents)
        log_w = log_p + beta * log_ratio
        if self.doubly_reparameterised:
            weights = tf.stop_gradient(tf.nn.softmax(log_w, axis=0))
            self._path.weights = 1 - beta + beta * weights
        return {"iw_elbo": -bounds.iw_elbo(log_w)}


class _Path:
    """z itself, whose gradient on the way to the encoder is weighted once more.

    The weights are known only once the decoder has seen z; the backward pass, which
    asks for them, comes later still. Where no objective follows they are one.
    """

    weights = None  # [K, B]

    def __call__(self, z):
        def weigh(upstream):
            return (
                upstream if self.weights is None else upstream * self.weights[..., None]
            )

        return tf.custom_gradient(lambda z: (tf.identity(z), weigh))(z)


def without_score(posterior: tfd.Distribution) -> tfd.Distribution:
    """q(z|x) whose density lets gradients through z only, not its parameters."""
    normal = diagonal_normal(posterior)
    loc, scale = tf.stop_gradient(normal.loc), tf.stop_gradient(normal.scale)
    return tfd.Independent(tfd.Normal(loc, scale), 1)
