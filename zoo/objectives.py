"""What training minimises: pure functions of a walk's record, for any model.

Architecture and objective are two choices: every model of the zoo that draws latents
takes any of these as `objective`. Terms are in nats and are named for what they are.
"""

import dataclasses
import math

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from zoo import bounds, checks, schedules
from zoo.devices import mean_of_all
from zoo.draws import Draw, PathSample, Sample
from zoo.heads.diagonal_normal import loc_and_scale
from zoo.model import Configured
from zoo.schedules import Schedule


class Objective(Configured):
    """Base of every objective: a frozen dataclass of counts and of weights.

    Weights are numbers or schedules of the training step. To change one, give the model
    another objective: `model.objective = ELBO(beta=4.0)`.

    Args:
        num_samples: draws L of the latents for each image and step.

    Raises:
        ValueError: if a weight is negative or a count is no whole number above zero.
    """

    @property
    def frozen(self) -> bool:
        params = getattr(self, "__dataclass_params__", None)
        return params is not None and params.frozen

    draws = Sample  # the kind of draw that a training step walks with
    num_samples = 1

    def __post_init__(self):
        counts = [f.name for f in dataclasses.fields(self) if f.type in (int, "int")]
        checks.at_least(1, **{name: getattr(self, name) for name in counts})
        checks.not_negative(scheduled=True, **vars(self))

    def draw(self, seed: tf.Tensor, batch_size) -> Draw:
        return self.draws(seed, self.num_samples * batch_size, self.num_samples)

    def __call__(self, draw: Draw, log_p: tf.Tensor, step) -> dict[str, tf.Tensor]:
        """Terms to minimise, each of any shape: their means are added.

        They follow from the record of the walk, log p(x|z) `[K*B]` in nats and, for
        schedules, the number of the training step.
        """
        raise NotImplementedError

    def reports(self, draw: Draw, log_p: tf.Tensor) -> dict[str, tf.Tensor]:
        """More metrics of a training step, from the same record."""
        return {}


@keras.saving.register_keras_serializable("zoo")
@dataclasses.dataclass(eq=False, frozen=True)
class ELBO(Objective):
    """distortion + beta * rate, the negative evidence lower bound at beta = 1.

    Args:
        beta: weight of the rate, a number or a schedule of the training step.
        free_bits: floor of the rate in nats per latent layer, a number or a schedule.

    Example:
        warm_up = zoo.schedules.Linear(0.0, 1.0, steps=10_000)
        ladder = zoo.LadderVAE(encoder, decoder, 64, objective=ELBO(warm_up))

    Reference: Kingma & Welling, 2014, eq. 10; Higgins et al., 2017, eq. 4; free bits:
    Kingma et al., 2016, eq. 15.
    """

    beta: Schedule = 1.0
    free_bits: Schedule = 0.0
    num_samples: int = 1

    def __call__(self, draw, log_p, step):
        beta = schedules.value(self.beta, step)
        floor = schedules.value(self.free_bits, step)
        rates = [bounds.free_bits(rate, floor) for rate in draw.rates]
        return {"distortion": -log_p, self.rate_name: beta * tf.add_n(rates)}

    @property
    def rate_name(self) -> str:
        """What the second term is: with a floor it is no longer beta * rate."""
        return "beta_floored_rate" if self.free_bits else "beta_rate"


@keras.saving.register_keras_serializable("zoo")
@dataclasses.dataclass(eq=False, frozen=True)
class BalancedELBO(ELBO):
    """The ELBO whose layers share the rate more evenly while beta warms up.

    While beta < 1 layer i's rate has the weight beta L r_i / sum_j r_j, held constant,
    of L layers, where r_i is 0.01 nats above the size of its mean over the batch: those
    that cost most are pressed most, so that none is given up before the others. From
    beta = 1 on it is the `ELBO`.

    Reference: Vahdat & Kautz, "NVAE", 2020, appendix A, which also weighs by the sizes
    of the maps.
    """

    def __call__(self, draw, log_p, step):
        terms = super().__call__(draw, log_p, step)
        beta = tf.cast(schedules.value(self.beta, step), tf.float32)
        means = [mean_of_all(tf.reduce_mean(rate)) for rate in draw.rates]
        sizes = tf.stop_gradient(tf.abs(means)) + 0.01  # a sampled mean may be negative
        shares = len(draw.rates) * sizes / tf.reduce_sum(sizes)
        floor = schedules.value(self.free_bits, step)
        rates = [bounds.free_bits(rate, floor) for rate in draw.rates]
        balanced = beta * tf.reduce_sum(shares * tf.stack(rates))
        plain = tf.reduce_mean(terms[self.rate_name])
        return {**terms, self.rate_name: tf.where(beta < 1.0, balanced, plain)}

    rate_name = "beta_balanced_rate"


@keras.saving.register_keras_serializable("zoo")
@dataclasses.dataclass(eq=False, frozen=True)
class Distortion(Objective):
    """The distortion alone."""

    def __call__(self, draw, log_p, step):
        return {"distortion": -log_p}


@keras.saving.register_keras_serializable("zoo")
@dataclasses.dataclass(eq=False, frozen=True)
class IWELBO(Objective):
    """-log (1/K) sum_k w_k: a bound that tightens with the number K of draws.

        log w_k = log p(x|z_k) + beta (log p(z_k) - log q(z_k|x))

    As K grows the encoder's gradient drowns in noise (Rainforth et al., 2018). The
    doubly reparameterised one has the same mean and keeps its signal: with normalised
    weights v_k the decoder learns from sum_k v_k d log w_k, the encoder, without the
    score of q and at beta = 1 with the paper's squared weights, from

        sum_k v_k (1 - beta + beta v_k) (d log w_k / dz_k) dz_k

    Args:
        num_importance_samples: draws K per example and step; 1 is the ELBO.
        beta: weight of the latents' terms, a number or a schedule.
        doubly_reparameterised: use that gradient; needs one latent layer with a
            diagonal normal posterior.

    Reference: Burda et al., "Importance Weighted Autoencoders", 2016, eq. 8; Tucker et
    al., "Doubly Reparameterized Gradient Estimators", 2019.
    """

    num_importance_samples: int = 5
    beta: Schedule = 1.0
    doubly_reparameterised: bool = False

    @property
    def draws(self):
        return PathSample if self.doubly_reparameterised else Sample

    @property
    def num_samples(self):
        return self.num_importance_samples

    def __call__(self, draw, log_p, step):
        beta = schedules.value(self.beta, step)
        log_ratio = bounds.log_weights(tf.zeros_like(log_p), draw.latents)
        log_w = draw.split(log_p + beta * log_ratio)
        if self.doubly_reparameterised:
            weights = tf.stop_gradient(tf.nn.softmax(log_w, axis=0))
            draw.weights = 1 - beta + beta * weights
        return {"negative_beta_iw_elbo": -bounds.iw_elbo(log_w)}

    def reports(self, draw, log_p):
        """The bound at beta = 1."""
        log_w = draw.split(bounds.log_weights(log_p, draw.latents))
        return {"iw_elbo": bounds.iw_elbo(log_w)}


@keras.saving.register_keras_serializable("zoo")
@dataclasses.dataclass(eq=False, frozen=True)
class Capacity(Objective):
    """distortion + gamma * |rate - C|, with the batch mean of the rate.

    Args:
        gamma: weight of the distance from the capacity.
        capacity: C in nats, a number or a schedule of the training step.

    Reference: Burgess et al., "Understanding disentangling in beta-VAE", 2018, eq. 8.
    """

    gamma: float = 1000.0
    capacity: Schedule = 25.0
    num_samples: int = 1

    def __call__(self, draw, log_p, step):
        rate = mean_of_all(tf.reduce_mean(tf.add_n(draw.rates)))
        gap = tf.abs(rate - schedules.value(self.capacity, step))
        gamma = schedules.value(self.gamma, step)
        return {"distortion": -log_p, "gamma_capacity_gap": gamma * gap}


@keras.saving.register_keras_serializable("zoo")
@dataclasses.dataclass(eq=False, frozen=True)
class TotalCorrelation(Objective):
    """The rate in three parts, each with a weight of its own.

    With q(z) the posterior averaged over the data, the rate is

        [log q(z|x) - log q(z)]                mutual information of x and z
      + [log q(z) - sum_d log q(z_d)]          total correlation
      + [sum_d log q(z_d) - log p(z)]          dimension-wise KL

    in the mean; the weights are alpha, beta, gamma. q(z) is estimated from the batch
    by minibatch weighted sampling, of several devices from each one's part. For one
    latent layer, whose posterior is a diagonal normal.

    Args:
        dataset_size: number of training examples N.
        alpha: weight of the mutual information.
        beta: weight of the total correlation, a number or a schedule.
        gamma: weight of the dimension-wise KL.

    Reference: Chen et al., "Isolating Sources of Disentanglement", 2018, eqs. 2 and 4,
    appendix C.1.
    """

    dataset_size: int
    alpha: float = 1.0
    beta: Schedule = 6.0
    gamma: float = 1.0
    num_samples: int = 1

    def __call__(self, draw, log_p, step):
        wanted, (latent, *more) = "The total correlation needs one layer.", draw.latents
        checks.require(not more, wanted, f"{len(draw.latents)} layers")
        beta = schedules.value(self.beta, step)
        parts = decompose(latent, self.dataset_size)
        return {
            "distortion": -log_p,
            "alpha_mutual_information": schedules.value(self.alpha, step) * parts[0],
            "beta_total_correlation": beta * parts[1],
            "gamma_dimension_kl": schedules.value(self.gamma, step) * parts[2],
        }


def decompose(latent: bounds.Latent, dataset_size: int) -> tuple[tf.Tensor, ...]:
    """Mutual information, total correlation and dimension-wise KL in nats, `[K*B]`.

    They sum to log q(z|x) - log p(z) whatever the estimate of q(z) is. Of maps, every
    value is a dimension.
    """
    dims = math.prod(latent.z.shape[1:])
    loc, scale = (tf.reshape(t, [-1, dims]) for t in loc_and_scale(latent.posterior))
    log_count = tf.math.log(tf.cast(tf.shape(loc)[0], tf.float32))
    log_count += math.log(dataset_size)
    z = tf.reshape(latent.z, [-1, 1, dims])
    pairs = tfd.Normal(loc, scale).log_prob(z)  # [K*B, B, D]
    log_q_z = tf.reduce_logsumexp(tf.reduce_sum(pairs, -1), axis=1) - log_count
    log_q_dims = tf.reduce_logsumexp(pairs, axis=1) - log_count  # [K*B, D]
    log_product = tf.reduce_sum(log_q_dims, axis=-1)
    return (
        latent.log_q - log_q_z,
        log_q_z - log_product,
        log_product - bounds.log_prob(latent.prior, latent.z),
    )
