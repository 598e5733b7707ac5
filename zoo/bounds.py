"""Rates and bounds on log p(x), as pure functions.

The convention of the whole library, kept here: natural logarithms (nats), summed
over event dimensions by the distributions, one value per example, `K` latent samples
on the leading axis. The mean over the batch is taken last, in `VAE.call`.
"""

import math
from typing import NamedTuple

import tensorflow as tf
import tensorflow_probability as tfp

tfd = tfp.distributions


class Latent(NamedTuple):
    """One latent layer: a draw and the two distributions that the rate compares."""

    z: tf.Tensor  # [K, B, D]
    log_q: tf.Tensor | None  # [K, B] nats; None where nothing was drawn
    posterior: tfd.Distribution
    prior: tfd.Distribution


def rate(latent: Latent) -> tf.Tensor:
    """KL(q(z|x) || p(z)) of one latent layer in nats, `[K, B]`.

    Analytic where TFP registers the divergence, otherwise its unbiased one-sample
    estimate log q(z|x) - log p(z) (Kingma & Welling, 2014, section 2.3).
    """
    try:
        analytic = tfd.kl_divergence(latent.posterior, latent.prior)
    except NotImplementedError:
        return latent.log_q - latent.prior.log_prob(latent.z)
    return tf.broadcast_to(analytic, tf.shape(latent.z)[:2])


def total_rate(latents: list[Latent]) -> tf.Tensor:
    """Sum of the layers' rates in nats, `[K, B]`."""
    return tf.add_n([rate(latent) for latent in latents])


def distortion(x: tf.Tensor, likelihood: tfd.Distribution) -> tf.Tensor:
    """-log p(x|z) in nats, averaged over the K samples, `[B]`."""
    return -tf.reduce_mean(likelihood.log_prob(x), axis=0)


def free_bits(rate: tf.Tensor, floor: float | tf.Tensor) -> tf.Tensor:
    """max(floor, batch mean of the rate) in nats, `[K, B] -> []`; no floor at 0.

    The mean comes before the maximum, so that single examples may stay below the
    floor (Kingma et al., 2016, eq. 15). `floor` is in nats per latent layer.
    """
    floor, mean = tf.cast(floor, rate.dtype), tf.reduce_mean(rate)
    # A sampled rate may be negative: clipping it at 0 would bias it.
    return tf.where(floor > 0.0, tf.maximum(floor, mean), mean)


def elbo(distortion: tf.Tensor, rate: tf.Tensor) -> tf.Tensor:
    """Evidence lower bound in nats, higher is better (Kingma & Welling, 2014, eq. 3).

    `[K, B]` twice gives `[B]`: the K samples are averaged outside the logarithm.
    """
    return -tf.reduce_mean(distortion + rate, axis=0)


def log_weights(log_likelihood: tf.Tensor, latents: list[Latent]) -> tf.Tensor:
    """log p(x, z) - log q(z|x) in nats, `[K, B]` (Burda et al., 2016, eq. 7)."""
    log_w = log_likelihood
    for z, log_q, _, prior in latents:
        log_w += prior.log_prob(z) - log_q
    return log_w


def iw_elbo(log_w: tf.Tensor) -> tf.Tensor:
    """Importance-weighted bound in nats, `[K, B] -> [B]` (Burda et al., 2016, eq. 8).

    log-mean-exp over the K samples; higher is better, and K = 1 is the ELBO.
    """
    num_samples = tf.cast(tf.shape(log_w)[0], log_w.dtype)
    return tf.reduce_logsumexp(log_w, axis=0) - tf.math.log(num_samples)


def bits_per_dim(log_prob, event_shape: tuple[int, ...]):
    """-log2 p(x) over the number of dimensions, `[B]` nats -> `[B]` bits."""
    return -log_prob / (math.log(2.0) * math.prod(event_shape))
