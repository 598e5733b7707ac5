"""beta-TCVAE: the rate in three parts, each with a weight of its own."""

import math

import keras
import tensorflow as tf

from zoo import bounds, checks, schedules
from zoo.posteriors import diagonal_normal
from zoo.schedules import Schedule
from zoo.vae import VAE


@keras.saving.register_keras_serializable("zoo")
class BetaTCVAE(VAE):
    """Penalises the total correlation of the latents alone.

    With q(z) the posterior averaged over the data, the rate is
        [log q(z|x) - log q(z)]                mutual information of x and z
      + [log q(z) - sum_d log q(z_d)]          total correlation
      + [sum_d log q(z_d) - log p(z)]          dimension-wise KL
    in the mean; the weights are alpha, beta, gamma. q(z) is estimated from the batch
    by minibatch weighted sampling.

    Args:
        dataset_size: number of training examples N.
        alpha: weight of the mutual information.
        beta: weight of the total correlation.
        gamma: weight of the dimension-wise KL.
        **kwargs: those of `VAE`, without `free_bits`; the posterior must be a diagonal
            normal.

    Raises:
        ValueError: if `free_bits` is given, `dataset_size` is less than one, or the
            posterior is another.

    Example:
        vae = zoo.BetaTCVAE(encoder, decoder, latent_dim=10, dataset_size=50_000)

    Reference: Chen et al., "Isolating Sources of Disentanglement", 2018, eqs. 2 and 4,
    appendix C.1.
    """

    def __init__(
        self,
        *args,
        dataset_size: int,
        alpha: float = 1.0,
        beta: Schedule = 6.0,
        gamma: float = 1.0,
        **kwargs,
    ):
        super().__init__(*args, beta=beta, **kwargs)
        checks.refuse_options(self, free_bits=0.0)
        checks.at_least_one(dataset_size=dataset_size)
        self.dataset_size = dataset_size
        checks.not_negative(alpha=alpha, gamma=gamma)
        self.alpha = alpha
        self.gamma = gamma

    def objective(self, x, latents, likelihood):
        beta = schedules.value(self.beta, self.step)
        parts = decompose(latents[0], self.dataset_size)
        mutual_information, total_correlation, dimension_kl = parts
        return {
            "distortion": bounds.distortion(x, likelihood),
            "mutual_information": self.alpha * mutual_information,
            "total_correlation": beta * total_correlation,
            "dimension_kl": self.gamma * dimension_kl,
        }


def decompose(latent: bounds.Latent, dataset_size: int) -> tuple[tf.Tensor, ...]:
    """Mutual information, total correlation and dimension-wise KL in nats, `[K, B]`.

    They sum to log q(z|x) - log p(z) whatever the estimate of q(z) is.
    """
    one_dimension = diagonal_normal(latent.posterior)
    batch_size = tf.shape(latent.z)[1]
    log_count = tf.math.log(tf.cast(batch_size, tf.float32)) + math.log(dataset_size)
    pairs = one_dimension.log_prob(latent.z[:, :, None, :])  # [K, B, B, D]
    log_q_z = tf.reduce_logsumexp(tf.reduce_sum(pairs, -1), axis=2) - log_count
    log_q_dims = tf.reduce_logsumexp(pairs, axis=2) - log_count  # [K, B, D]
    log_product = tf.reduce_sum(log_q_dims, axis=-1)
    return (
        latent.log_q - log_q_z,
        log_q_z - log_product,
        log_product - latent.prior.log_prob(latent.z),
    )
