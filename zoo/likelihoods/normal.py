"""Normal likelihoods, with the scale fixed, learned or predicted."""

import math
from typing import Literal

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from zoo import checks
from zoo.likelihoods.base import Likelihood

MIN_SIGMA = math.exp(-6.0)


@keras.saving.register_keras_serializable("zoo")
class Normal(Likelihood):
    """Independent normal values; the decoder returns means and, if asked, log sigmas.

    A density (nats per image or row). What is learned of sigma has a soft floor, so
    that constant images stay finite:

        sigma = exp(log_sigma) + exp(-6)
        log sigma = softplus(log_sigma + 6) - 6

    Args:
        sigma: the standard deviation, in the units of the data:
            a number: fixed and shared by all values;
            "learned": one weight, shared by all values;
            "per_pixel": predicted: the decoder returns mean and log_sigma per channel;
            "per_image": likewise, and the log_sigmas of an image are averaged.

    Raises:
        ValueError: if `sigma` is neither positive nor one of these words.

    Reference: Rybkin et al., "Simple and Effective VAE Training with Calibrated
    Decoders", 2021; `zoo.SigmaVAE` has the fifth of its sigmas, "optimal".
    """

    def __init__(
        self,
        sigma: float | Literal["learned", "per_image", "per_pixel"] = 1.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        words = ("learned", "per_image", "per_pixel")
        valid = sigma in words if isinstance(sigma, str) else sigma > 0
        wanted = f"`sigma` must be positive or one of {', '.join(words)}; a SigmaVAE "
        checks.require(valid, wanted + "also takes optimal.", f"sigma={sigma}")
        self.sigma = sigma
        self.params_per_channel = 2 if sigma in ("per_image", "per_pixel") else 1

    def build(self, params_shape):
        if self.sigma == "learned":
            self.log_sigma = self.add_weight((), "zeros", name="log_sigma")

    def call(self, params) -> tfd.Distribution:
        if self.params_per_channel == 2:
            loc, log_sigma = tf.unstack(self.per_channel(params), axis=-1)
            if self.sigma == "per_image":
                image = list(range(1, log_sigma.shape.rank))
                log_sigma = tf.reduce_mean(log_sigma, image, keepdims=True)
            sigma = tf.exp(log_sigma) + MIN_SIGMA
        elif self.sigma == "learned":
            loc, sigma = params, tf.exp(self.log_sigma) + MIN_SIGMA
        else:
            loc, sigma = params, self.sigma
        return self.event(tfd.Normal(loc, sigma))
