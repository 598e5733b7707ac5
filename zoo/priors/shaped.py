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
from zoo.priors.base import Prior


@keras.saving.register_keras_serializable("zoo")
class StandardNormal(Prior):
    """p(z) = N(0, I).

    Args:
        latent_dim: number of latent dimensions D.
    """

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

    Example:
        prior = zoo.AnisotropicNormal(latent_dim=4, scales=[1.6, 1.0, 0.6, 0.3])

    Reference: Mathieu et al., 2019, section 6.
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

    Example:
        prior = zoo.StudentT(latent_dim=10, df=5.0)

    Reference: Mathieu et al., 2019, section 6.
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
        ValueError: if `off` is not within (0, 1) or `off_scale` not within (0, 1).

    Example:
        prior = zoo.SparsePrior(latent_dim=50, off=0.8)

    Reference: Mathieu et al., 2019, section 6 (sparsity).
    """

    def __init__(
        self, latent_dim: int, off: float = 0.8, off_scale: float = 0.05, **kwargs
    ):
        super().__init__(latent_dim, **kwargs)
        inside, wanted = (
            0 < off < 1 and 0 < off_scale < 1,
            "`off` and `off_scale` must ",
        )
        checks.require(inside, wanted + "be between 0 and 1.", f"{off=}, {off_scale=}")
        self.off = off
        self.off_scale = off_scale

    def distribution(self, model: keras.Model) -> tfd.Distribution:
        shape = (self.latent_dim, 1)
        weights = tf.tile([[1.0 - self.off, self.off]], shape)
        scales = tf.tile([[1.0, self.off_scale]], shape)
        mixture = tfd.MixtureSameFamily(
            tfd.Categorical(probs=weights), tfd.Normal(0.0, scales)
        )
        return tfd.Independent(mixture, 1)
