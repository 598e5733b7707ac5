"""Rates and bounds on log p(x), as pure functions of what a walk drew.

The convention of the whole library: natural logarithms (nats), summed over event
dimensions by the distributions, one value per row. A batch of B images with K draws
each has K * B rows, row k * B + b; their mean is taken last, in `GenerativeModel.call`.
"""

import contextlib
import math
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from zoo.checks import Field
from zoo.devices import mean_of_all


class Latent(NamedTuple):
    """One latent layer of a walk: a draw and the two distributions of its rate.

    Both have the same batch shape `[]`, `[B]` or `[K*B]`, or the prior has `[]`.
    """

    z: tf.Tensor  # [K*B, ...]
    log_q: tf.Tensor | None  # [K*B] nats; None where nothing was drawn
    posterior: tfd.Distribution | None  # None where z comes from the prior
    prior: tfd.Distribution
    sampled_rate: bool = False  # the prior was known only after z was drawn

    def field(self) -> Field:
        """What one z is; of codes' indices, how many there are too."""
        inner = getattr(self.prior, "distribution", self.prior)
        support = -math.inf, math.inf
        if isinstance(inner, tfd.Categorical):
            support = 0, inner.logits_parameter().shape[-1] - 1
        elif hasattr(inner, "levels"):
            support = 0, inner.levels - 1
        return Field(tuple(self.z.shape[1:]), self.z.dtype.name, support)

    def stddev(self) -> tf.Tensor | None:
        """Standard deviations of the posterior, as z; None where it has none."""
        inner = getattr(self.posterior, "distribution", self.posterior)
        if isinstance(inner, tfd.Deterministic):
            return None
        with contextlib.suppress(NotImplementedError):
            return tf.broadcast_to(self.posterior.stddev(), tf.shape(self.z))
        return None


def log_prob(distribution: tfd.Distribution, z: tf.Tensor) -> tf.Tensor:
    """log density of every row of z `[K*B, ...]` in nats, `[K*B]`; see `Latent`."""
    batch = distribution.batch_shape
    if batch.rank == 0 or (batch[0] is not None and batch[0] == z.shape[0]):
        return distribution.log_prob(z)
    size = distribution.batch_shape_tensor()[0]
    draws = tf.reshape(z, [-1, size, *z.shape[1:]])
    return tf.reshape(distribution.log_prob(draws), [-1])


def rate(latent: Latent) -> tf.Tensor:
    """KL(q(z|x) || p(z)) of one latent layer in nats, `[K*B]`.

    Analytic where TFP registers the divergence, otherwise its unbiased one-sample
    estimate log q(z|x) - log p(z) (Kingma & Welling, 2014, section 2.3). Where z was
    drawn before its prior was known, only the estimate averages to the rate.
    """
    if not latent.sampled_rate:
        with contextlib.suppress(NotImplementedError):
            analytic = tf.reshape(tfd.kl_divergence(*latent[2:4]), [-1])
            return tf.tile(analytic, [tf.shape(latent.z)[0] // tf.shape(analytic)[0]])
    return latent.log_q - log_prob(latent.prior, latent.z)


def free_bits(rate: tf.Tensor, floor: float | tf.Tensor) -> tf.Tensor:
    """max(floor, mean of the rate) in nats, `[K*B] -> []`; no floor at 0.

    The mean comes first: single examples may be lower (Kingma et al., 2016, eq. 15).
    """
    floor, mean = tf.cast(floor, rate.dtype), mean_of_all(tf.reduce_mean(rate))
    # A sampled rate may be negative: clipping it at 0 would bias it.
    return tf.where(floor > 0.0, tf.maximum(floor, mean), mean)


def log_weights(log_likelihood: tf.Tensor, latents: list[Latent]) -> tf.Tensor:
    """log p(x, z) - log q(z|x) in nats, `[K*B]` (Burda et al., 2016, eq. 7)."""
    log_w = log_likelihood
    for latent in latents:
        log_w += log_prob(latent.prior, latent.z) - latent.log_q
    return log_w


def iw_elbo(log_w: tf.Tensor) -> tf.Tensor:
    """Importance-weighted bound in nats, `[K, B] -> [B]` (Burda et al., 2016, eq. 8).

    log-mean-exp over the K draws; higher is better, and K = 1 is the ELBO.
    """
    num_draws = tf.cast(tf.shape(log_w)[0], log_w.dtype)
    return tf.reduce_logsumexp(log_w, axis=0) - tf.math.log(num_draws)


def streamed_iw_elbo(log_w: Callable, batch_size, total, chunk) -> tf.Tensor:
    """The bound of `total` draws in nats, `[B]`, from `chunk` of them at a time.

    `log_w(index, count)` gives log weights `[count, B]` of the chunk of that number.
    """

    def add_chunk(index, log_sum):
        new = log_w(index, tf.minimum(chunk, total - index * chunk))
        new = tf.concat([log_sum[None], new], axis=0)
        return index + 1, tf.reduce_logsumexp(new, axis=0)

    _, log_sum = tf.while_loop(
        lambda index, _: index * chunk < total,
        add_chunk,
        (0, tf.fill([batch_size], -float("inf"))),
        parallel_iterations=2,  # so that no core waits for the end of a chunk
    )
    return log_sum - tf.math.log(tf.cast(total, tf.float32))


def bits_per_dim(log_prob, event_shape: tuple[int, ...]):
    """-log2 p(x) over the number of dimensions, `[B]` nats -> `[B]` bits."""
    return -log_prob / (math.log(2.0) * math.prod(event_shape))
