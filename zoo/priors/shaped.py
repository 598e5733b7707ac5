"""Priors of a fixed shape: products of one-dimensional distributions.

Beyond the standard normal, the shape of p(z) says what the latents should look like:
of unequal importance, heavy-tailed or sparse (Mathieu et al., "Disentangling
Disentanglement in Variational Autoencoders", 2019, section 6).
"""

from collections.abc import Sequence

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from zoo import checks
from zoo.heads import Head


class Prior(Head):
    """Base of every prior: `distribution(model)` returns p(z), event shape `[D]`.

    `model` is the VAE that asks, for priors made from its posterior; `build` receives
    its input shape `(None, *event_shape)`.

    Args:
        latent_dim: number of latent dimensions D.
    """

    def __init__(self, latent_dim: int, **kwargs):
        super().__init__(**kwargs)
        self.latent_dim = latent_dim

    def distribution(self, model: keras.Model) -> tfd.Distribution:
        raise NotImplementedError


@keras.saving.register_keras_serializable("zoo")
class StandardNormal(Prior):
    """p(z) = N(0, I)."""

    def distribution(self, model: keras.Model) -> tfd.Distribution:
        return tfd.Independent(tfd.Normal(tf.zeros(self.latent_dim), 1.0), 1)


@keras.saving.register_keras_serializable("zoo")
class AnisotropicNormal(Prior):
    """p(z) = N(0, diag(scales^2)): dimensions of unequal importance.

    A standard normal looks the same however it is turned, so that nothing ties a
    factor of the data to an axis; unequal scales take this freedom away.

    Args:
        latent_dim: number of latent dimensions D.
        scales: standard deviation of each dimension, for instance the singular values
            of the data's principal components, scaled to a mean square of one.

    Raises:
        ValueError: if `scales` are not `latent_dim` positive numbers.
    """

    def __init__(self, latent_dim: int, scales: Sequence[float], **kwargs):
        super().__init__(latent_dim, **kwargs)
        self.scales = [float(scale) for scale in scales]
        fits = len(self.scales) == latent_dim and min(self.scales) > 0
        wanted = f"`scales` must be {latent_dim} positive numbers."
        checks.require(fits, wanted, f"scales={self.scales}")

    def get_config(self):
        config = super().get_config()
        return {**config, "latent_dim": self.latent_dim, "scales": self.scales}

    def distribution(self, model: keras.Model) -> tfd.Distribution:
        return tfd.Independent(tfd.Normal(0.0, tf.constant(self.scales)), 1)


@keras.saving.register_keras_serializable("zoo")
class StudentT(Prior):
    """p(z) = prod_d t(z_d; df): heavy tails, and axes that matter.

    Unlike the standard normal's, its density changes when z is rotated.

    Args:
        latent_dim: number of latent dimensions D.
        df: degrees of freedom; the standard normal is the limit of many.

    Raises:
        ValueError: if `df` is not positive.
    """

    def __init__(self, latent_dim: int, df: float = 5.0, **kwargs):
        super().__init__(latent_dim, **kwargs)
        checks.require(df > 0, "`df` must be positive.", f"{df=}")
        self.df = df

    def distribution(self, model: keras.Model) -> tfd.Distribution:
        loc = tf.zeros(self.latent_dim)
        return tfd.Independent(tfd.StudentT(self.df, loc, 1.0), 1)


@keras.saving.register_keras_serializable("zoo")
class SparsePrior(Prior):
    """Each dimension is on or off: a broad and a narrow normal in place of one.

        p(z) = prod_d [(1 - off) N(z_d; 0, 1) + off N(z_d; 0, off_scale^2)]

    Args:
        latent_dim: number of latent dimensions D.
        off: probability that a dimension is off (gamma in the paper).
        off_scale: standard deviation of a dimension that is off.

    Raises:
        ValueError: if `off` or `off_scale` is not within (0, 1).
    """

    def __init__(
        self, latent_dim: int, off: float = 0.8, off_scale: float = 0.05, **kwargs
    ):
        super().__init__(latent_dim, **kwargs)
        inside = 0 < off < 1 and 0 < off_scale < 1
        wanted = "`off` and `off_scale` must be between 0 and 1."
        checks.require(inside, wanted, f"{off=}, {off_scale=}")
        self.off = off
        self.off_scale = off_scale

    def distribution(self, model: keras.Model) -> tfd.Distribution:
        weights = tf.tile([[1.0 - self.off, self.off]], (self.latent_dim, 1))
        scales = tfd.Normal(0.0, [1.0, self.off_scale])
        mixture = tfd.MixtureSameFamily(tfd.Categorical(probs=weights), scales)
        return tfd.Independent(mixture, 1)
