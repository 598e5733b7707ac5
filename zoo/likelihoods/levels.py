"""Probability masses of 8-bit images and their like.

Data are x = k / (levels - 1) with k = 0, 1, ..., levels - 1; other values in [0, 1] are
rounded to the nearest level. Masses sum to one over the levels, so that nats and bits
per dimension can be compared with those of any other model of the same integers.
"""

import math

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from zoo import checks
from zoo.likelihoods.base import Likelihood

tfd = tfp.distributions


@keras.saving.register_keras_serializable("zoo")
class Categorical(Likelihood):
    """A softmax over all levels for every value; the decoder returns their logits.

    A probability mass (nats per image) that knows nothing of the levels' order.

    Args:
        levels: number of levels L of the data, at least two.

    Reference: van den Oord et al., "Pixel Recurrent Neural Networks", 2016, section 2.
    """

    support = (0.0, 1.0)
    takes_logits = True
    is_mass = True

    def __init__(self, levels: int = 256, **kwargs):
        super().__init__(**kwargs)
        checks.at_least(2, levels=levels)
        self.levels = levels
        self.params_per_channel = levels

    def call(self, params) -> tfd.Distribution:
        return self.event(SoftmaxLevels(self.per_channel(params), self.levels))


@keras.saving.register_keras_serializable("zoo")
class DiscretisedLogistic(Likelihood):
    """A mixture of logistics for every value, its density summed over each level.

        P(x = k / (L - 1)) = sum_m w_m [F_m(upper edge of k) - F_m(lower edge of k)]

    with F_m(t) = sigmoid((t - loc_m) / scale_m), edges half a level beyond k, and open
    to infinity below the first and above the last level. A probability mass (nats per
    image). Channels are independent given z, without the reference's regression of
    one on the other.

    The decoder returns logits, locations and log scales of the M components, for data
    mapped to [-1, 1]: zeros mean mid-grey, one half-range wide. Scales stay within a
    factor of e^2 L of that, smoothly: the narrowest is well inside a level.

    Args:
        levels: number of levels L of the data, at least two.
        components: number of logistics M in the mixture.

    Reference: Salimans et al., "PixelCNN++", 2017, eqs. 1-2.
    """

    support = (0.0, 1.0)
    is_mass = True

    def __init__(self, levels: int = 256, components: int = 5, **kwargs):
        super().__init__(**kwargs)
        checks.at_least(2, levels=levels)
        checks.at_least(1, components=components)
        self.levels = levels
        self.components = components
        self.params_per_channel = 3 * components

    def call(self, params) -> tfd.Distribution:
        logits, loc, raw = tf.split(self.per_channel(params), 3, axis=-1)
        limit = math.log(self.levels) + 2.0
        scale = tf.exp(limit * tf.tanh(raw / limit)) / 2.0
        loc = (loc + 1.0) / 2.0
        return self.event(LogisticLevels(logits, self.levels, loc, scale))


class Levels(tfd.Distribution):
    """Base of the masses on k / (levels - 1), from tensors `[..., M]`."""

    def __init__(self, logits, levels: int, loc=None, scale=None):
        parameters = dict(locals())
        self.logits, self.loc, self.scale = logits, loc, scale
        self.steps = levels - 1
        kind = tfd.NOT_REPARAMETERIZED
        super().__init__(logits.dtype, kind, False, True, parameters)

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return {"logits": tfp.util.ParameterProperties(event_ndims=1)}

    def _event_shape(self):
        return tf.TensorShape([])

    def _event_shape_tensor(self):
        return tf.constant([], tf.int32)


class SoftmaxLevels(Levels):
    """A mass of its own for each level, with logits `[..., levels]`."""

    def _log_prob(self, x):
        level = tf.cast(tf.round(x * self.steps), tf.int32)
        return tfd.Categorical(self.logits).log_prob(level)

    def _mean(self):
        levels = tf.linspace(0.0, 1.0, self.steps + 1)
        return tf.linalg.matvec(_softmax(self.logits), levels)

    def _sample_n(self, n, seed=None):
        level = tfd.Categorical(self.logits, dtype=self.dtype).sample(n, seed=seed)
        return level / self.steps


class LogisticLevels(Levels):
    """A mixture of M logistics, with all its parameters `[..., M]`."""

    def _log_prob(self, x):
        level = tf.round(x * self.steps)[..., None]
        width = 1.0 / (self.steps * self.scale)
        lower = ((level - 0.5) / self.steps - self.loc) / self.scale
        below = tf.math.log_sigmoid(lower + width)  # of the upper edge
        above = tf.math.log_sigmoid(-lower)  # of the lower edge
        # sigmoid(u) - sigmoid(l) = sigmoid(u) sigmoid(-l) (1 - exp(l - u)), in logs.
        inside = below + above + tf.math.log(-tf.math.expm1(-width))
        log_mass = tf.where(level >= self.steps, above, inside)
        log_mass = tf.where(level <= 0.0, below, log_mass)
        return tf.reduce_logsumexp(tf.nn.log_softmax(self.logits) + log_mass, axis=-1)

    def _mean(self):
        # Of the mixture clipped to [0, 1]: rounding moves it by less than half a level.
        upper = tf.nn.softplus(self.loc / self.scale)
        lower = tf.nn.softplus((self.loc - 1.0) / self.scale)
        means = self.scale * (upper - lower)
        return tf.reduce_sum(_softmax(self.logits) * means, axis=-1)

    def _sample_n(self, n, seed=None):
        parts = tfd.Logistic(self.loc, self.scale)
        mixture = tfd.MixtureSameFamily(tfd.Categorical(self.logits), parts)
        value = tf.clip_by_value(mixture.sample(n, seed=seed), 0.0, 1.0)
        return tf.round(value * self.steps) / self.steps


def _softmax(logits):
    """Of any rank: TensorFlow's own stops at five axes on some processors."""
    return tf.exp(tf.nn.log_softmax(logits))
