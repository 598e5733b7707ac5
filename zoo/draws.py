"""How a model's latents are drawn, and the record of what was drawn.

A model walks its latent layers, top first, and calls a draw for each. With a posterior
z comes from it, which infers; without one from the prior, which generates. K draws for
each of B images lie on the batch axis, as rows k * B + b.
"""

from functools import cached_property

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from zoo import bounds, checks, parts
from zoo.bounds import Latent
from zoo.heads.diagonal_normal import diagonal_normal

DRAWS = "num_importance_samples"
DRAWS_AT_A_TIME = 1024  # of all rows together: a chunk, of which two are in memory
ACTIVE = 0.01  # variance above which a dimension counts as active


def seed_words(seed) -> tf.Tensor:
    """A 64-bit integer seed as the `int32[2]` that stateless sampling wants.

    Of several, `[N]`, it is `int32[N, 2]`.
    """
    array = seed if hasattr(seed, "dtype") else np.asarray(seed)
    whole = tf.as_dtype(array.dtype).is_integer and len(array.shape) < 2
    checks.require(whole, "`seed` must be an integer.", repr(seed))
    return tf.bitcast(tf.cast(seed, tf.int64), tf.int32)


def batch_seed(seed, index: int) -> tf.Tensor:
    """The seed of a batch: other seeds and other batches share none of its noise."""
    return tf.bitcast(tf.random.fold_in(seed_words(seed), index), tf.int64)


class Draw:
    """Takes the latents of one walk and keeps the record of it.

    It is for `samples` draws K of each image, `rows` = K * B in all.
    """

    temperature = None  # of the priors that it generates from, see `tempered`

    def __init__(self, rows, samples=1):
        self.rows = rows
        self.samples = samples
        self.latents: list[Latent] = []  # the record, top layer first
        self.terms: dict[str, tf.Tensor] = {}  # that the walk adds itself, in nats

    def __call__(self, prior, posterior=None, taken=None) -> tf.Tensor:
        """Draws one latent layer, records it and returns z `[K*B, ...]`.

        `prior` is p(z) and `posterior` q(z|x), None to generate; see `Latent` for their
        rows. `taken` is z and log q, where `take` had to come before the prior.
        """
        parts.check_distribution("The prior", prior)
        if posterior is not None:
            parts.check_distribution("The posterior", posterior, prior.event_shape)
        if posterior is None and self.temperature is not None:
            prior = tempered(prior, self.temperature)
        z, log_q = taken or self.take(prior if posterior is None else posterior)
        self.latents.append(Latent(z, log_q, posterior, prior, taken is not None))
        return z

    def take(self, distribution: tfd.Distribution):
        """Returns z `[K*B, ...]` and log q `[K*B]` in nats, unrecorded."""
        raise NotImplementedError

    @cached_property
    def rates(self) -> list[tf.Tensor]:
        """Every layer's rate in nats, `[K*B]`, once the walk is over."""
        return [bounds.rate(latent) for latent in self.latents]

    @property
    def active_units(self) -> list[tf.Tensor]:
        """How many dimensions of each layer x decides on, `[]`, float32, top first.

        Those in which (mu_q - mu_p) / sigma_p has a variance above 0.01 over the rows,
        of maps each place's. With a prior N(0, I) that is Cov_x E[u|x] > 0.01 (Burda et
        al., 2016, section 5); below the top it leaves out what follows from the layers
        above. Of a flow mu_q is the image of its base's mean. Raises a ValueError if a
        prior is no diagonal normal.
        """
        counts = []
        for latent in self.latents:
            p = diagonal_normal(latent.prior)
            moved = (centre(latent.posterior) - p.loc) / p.scale
            variance = tf.math.reduce_variance(moved, axis=0)
            counts.append(tf.math.count_nonzero(variance > ACTIVE, dtype=tf.float32))
        return counts

    def repeat(self, tree):
        """Every tensor `[B, ...]` of a structure for all K draws, `[K*B, ...]`."""
        if isinstance(self.samples, int) and self.samples == 1:
            return tree
        return tf.nest.map_structure(
            lambda t: tf.tile(t, [self.samples] + [1] * (len(t.shape) - 1)), tree
        )

    def split(self, t: tf.Tensor) -> tf.Tensor:
        """`[K*B, ...]` as `[K, B, ...]`."""
        return tf.reshape(t, tf.concat([[self.samples, -1], tf.shape(t)[1:]], axis=0))


def centre(distribution: tfd.Distribution) -> tf.Tensor:
    """The mean; for a flow, the image of its base's mean."""
    if hasattr(distribution, "bijector"):
        return distribution.bijector.forward(distribution.distribution.mean())
    return distribution.mean()


def generating(seed, n, shapes, temperature=None) -> Draw:
    """Draws n rows of latents of these shapes, top first, from the priors.

    With a seed for each row, `[n, 2]`, a row is what its own seed gives alone. A
    `temperature` multiplies every prior's standard deviation.
    """
    draw = SampleEach(seed, shapes) if seed.shape.rank == 2 else Sample(seed, n)
    draw.temperature = temperature
    return draw


def tempered(prior: tfd.Distribution, temperature) -> tfd.Distribution:
    """A diagonal normal with so many times its standard deviation.

    Raises:
        ValueError: if the prior is of another form.
    """
    normal = getattr(prior, "distribution", None)
    good = isinstance(prior, tfd.Independent) and isinstance(normal, tfd.Normal)
    checks.require(good, "A `temperature` needs diagonal normal priors.", prior.name)
    cooler = tfd.Normal(normal.loc, temperature * normal.scale)
    return tfd.Independent(cooler, prior.reinterpreted_batch_ndims)


class Sample(Draw):
    """Draws every latent, repeatably: same seed, same draws.

    Beside the arguments of a `Draw` it takes a stateless `seed`, `int32[2]`.
    """

    def __init__(self, seed: tf.Tensor, rows, samples=1):
        super().__init__(rows, samples)
        self.seed = seed

    def take(self, distribution):
        seed, self.seed = tf.unstack(tf.random.split(self.seed, 2))
        sample = distribution.experimental_sample_and_log_prob
        if distribution.batch_shape.rank == 0:
            return sample([self.rows], seed=seed)
        if isinstance(self.samples, int) and self.samples == 1:
            return sample([], seed=seed)
        each = self.rows // distribution.batch_shape_tensor()[0]
        z, log_q = sample([each], seed=seed)
        return tf.reshape(z, [-1, *z.shape[2:]]), tf.reshape(log_q, [-1])


class SampleEach(Draw):
    """Generates: every row is what its own seed `[rows, 2]` gives alone, without log q.

    One loop over the rows makes the noise of all layers, whose `shapes` it must know.
    """

    def __init__(self, seeds: tf.Tensor, shapes):
        super().__init__(tf.shape(seeds)[0])

        def one_row(seed):
            layers = []
            for shape in shapes:
                own, seed = tf.unstack(tf.random.split(seed, 2))
                noise = tfd.Sample(tfd.Normal(0.0, 1.0), shape).sample(seed=own)
                layers.append((own, noise))
            return layers

        words = tf.TensorSpec([2], tf.int32)
        specs = [(words, tf.TensorSpec(shape, tf.float32)) for shape in shapes]
        self.layers = tf.map_fn(one_row, seeds, fn_output_signature=specs)

    def take(self, distribution):
        return self._from_noise(distribution, *self.layers.pop(0)), None

    def _from_noise(self, distribution, seeds, noise):
        inner = getattr(distribution, "distribution", None)
        if hasattr(distribution, "bijector"):
            return distribution.bijector.forward(self._from_noise(inner, seeds, noise))
        if isinstance(inner, tfd.Normal):
            return inner.loc + inner.scale * noise
        if hasattr(distribution, "sample_each"):
            return distribution.sample_each(seeds)
        batched = distribution.batch_shape.rank > 0

        def one_row(row):
            one = distribution[..., row[0]] if batched else distribution
            return one.sample(seed=row[1])

        spec = tf.TensorSpec(distribution.event_shape, distribution.dtype)
        rows = tf.range(self.rows), seeds
        return tf.map_fn(one_row, rows, fn_output_signature=spec)


class UpperSample(Sample):
    """Infers the upper layers; those below come from their priors given the upper ones.

    log p(x|z) + log p(z) - log q of the upper layers is still a log importance weight,
    as those below cancel. What bottom-up inference takes of them on its way up is noise
    that chooses a posterior of the upper layers: any such posterior has valid weights.

    Beside the arguments of a `Sample` it takes how many layers are `inferred`.
    """

    def __init__(self, seed: tf.Tensor, rows, samples, inferred: int):
        super().__init__(seed, rows, samples)
        self.inferred = inferred

    def __call__(self, prior, posterior=None, taken=None):
        if len(self.latents) < self.inferred:
            return super().__call__(prior, posterior, taken)
        wanted = "The model must have a prior that its lower latents can come from."
        checks.require(prior is not posterior, wanted, prior.name)
        return super().__call__(prior)


class Mean(Draw):
    """Takes each distribution's mean; for a flow, the image of its base's mean."""

    def take(self, distribution):
        z = centre(distribution)
        if distribution.batch_shape.rank == 0:
            z = tf.repeat(z[None], self.rows, axis=0)
        return z, None


class Given(Mean):
    """Takes the given codes `[B, ...]`, top layer first, then means of the prior."""

    def __init__(self, codes, rows):
        super().__init__(rows)
        self.codes = list(codes)

    def take(self, distribution):
        return (self.codes.pop(0), None) if self.codes else super().take(distribution)


class PathSample(Sample):
    """Lets gradients reach the encoder through z only, each draw's weighted once more.

    log q is that of z without the score of q. The weights are known only once the
    decoder has seen z, before the backward pass asks for them.

    Raises a ValueError if layers are several or the posterior is no diagonal normal.
    """

    weights = None  # [K, B]; ones where no objective gives any

    def __call__(self, prior, posterior=None, taken=None):
        normal = diagonal_normal(posterior)
        rule = "The doubly reparameterised gradient needs a model of one latent layer."
        checks.require(not (self.latents or taken), rule, f"also {prior.name}")

        def weigh(upstream):
            if self.weights is None:
                return upstream
            ones = [1] * (upstream.shape.rank - 1)
            return upstream * tf.reshape(self.weights, [-1, *ones])

        z, _ = self.take(posterior)
        z = tf.custom_gradient(lambda z: (tf.identity(z), weigh))(z)
        loc, scale = tf.stop_gradient(normal.loc), tf.stop_gradient(normal.scale)
        constant = tfd.Independent(tfd.Normal(loc, scale), z.shape.rank - 1)
        log_q = bounds.log_prob(constant, z)
        self.latents.append(Latent(z, log_q, posterior, prior))
        return z
