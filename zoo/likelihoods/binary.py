"""Likelihoods of black and white, and of the grey between."""

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from zoo.likelihoods.base import Likelihood


@keras.saving.register_keras_serializable("zoo")
class Bernoulli(Likelihood):
    """Independent Bernoulli pixels; the decoder returns logits.

    A probability mass (nats per image) for binary data. Grey values in [0, 1] are
    accepted and read as the probability that a pixel is drawn white: the expected
    log mass, not a density; use `ContinuousBernoulli` or `Normal` for densities.

    Reference: Kingma & Welling, 2014, eq. 11.
    """

    support = (0.0, 1.0)
    takes_logits = True
    is_mass = True

    def call(self, logits) -> tfd.Distribution:
        pixels = _Bernoulli(logits=logits, dtype=logits.dtype)
        return BernoulliImages(pixels, logits.shape.rank - 1)


class _Bernoulli(tfd.Bernoulli):
    """TFP's, with its log mass in fewer passes: log p(x) = x a - softplus(a)."""

    def _log_prob(self, event):
        return event * self.logits - tf.nn.softplus(self.logits)


class BernoulliImages(tfd.Independent):
    """One image an event; x need not be repeated for the draws of its latents."""

    def log_prob_of_draws(self, x) -> tf.Tensor:
        """log p(x|z) in nats `[K*B]` of x `[B, ...]`, for each image under its draws.

        A product of matrices: no tensor of pixels beside the logits.
        """
        x, logits = tf.reshape(x, [tf.shape(x)[0], -1]), self.distribution.logits
        logits = tf.reshape(logits, tf.concat([[-1], tf.shape(x)], axis=0))
        penalty = tf.reduce_sum(tf.nn.softplus(logits), axis=-1)
        return tf.reshape(tf.einsum("kbd,bd->kb", logits, x) - penalty, [-1])


@keras.saving.register_keras_serializable("zoo")
class ContinuousBernoulli(Likelihood):
    """Independent grey values in [0, 1]; the decoder returns logits a.

        log p(x) = a x - softplus(a) + log C(a),  C(a) = a / tanh(a / 2),  C(0) = 2

    A density (nats per image): the Bernoulli's form with the constant that makes it
    integrate to one. Its mean is not sigmoid(a) but 1 / (1 - exp(-a)) - 1 / a.

    Reference: Loaiza-Ganem & Cunningham, "The Continuous Bernoulli", 2019, section 3.
    """

    support = (0.0, 1.0)
    takes_logits = True

    def call(self, logits) -> tfd.Distribution:
        return self.event(tfd.ContinuousBernoulli(logits=logits))
