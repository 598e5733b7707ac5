"""Models with latents: one walk through them infers, and generates."""

import dataclasses

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from zoo import bounds, checks, parts
from zoo.checks import Field
from zoo.draws import Draw, Given, Mean, Sample, generating, seed_words
from zoo.generative import GenerativeModel, Measures
from zoo.likelihoods import Bernoulli, Likelihood
from zoo.model import arguments
from zoo.objectives import ELBO, Objective


def of_objective(name: str) -> property:
    """An attribute that is the objective's: a model that has another value, another."""

    def exchange(model, value):
        model.objective = dataclasses.replace(model.objective, **{name: value})

    return property(lambda model: getattr(model.objective, name), exchange)


class LatentVariableModel(GenerativeModel):
    """Base of the models that draw latents z and then x given z.

    A subclass gives `features`, `walk` and `likelihood`, or, to begin with less, is a
    `VAE`. In a walk, features and conditions have one row for each image and z one for
    each draw: where they meet, `draw.repeat` them.

    Args:
        likelihood: head that turns parameters into p(x|z), by default `Bernoulli`.
        objective: what training minimises, by default `zoo.objectives.ELBO()`.
        **kwargs: as for `GenerativeModel`.
    """

    def __init__(
        self,
        *,
        likelihood: Likelihood | None = None,
        objective: Objective | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.likelihood_head = likelihood or Bernoulli()
        self.objective = objective or ELBO()

    @property
    def objective(self) -> Objective:
        """What training minimises; another one takes its place from the next fit on."""
        return self._objective

    @objective.setter
    def objective(self, objective):
        wanted = "`objective` must be one of `zoo.objectives`, a frozen dataclass."
        frozen = isinstance(objective, Objective) and objective.frozen
        checks.require(frozen, wanted, repr(objective))
        if not self.built:
            self._objective = objective
            return
        before, taken = self._objective, arguments(type(self))
        if "objective" in taken.made:
            kind, fixed = type(before), vars(before).keys() - set(taken.taken)
            alike = type(objective) is kind and all(
                getattr(objective, key) == getattr(before, key) for key in fixed
            )
            wanted = f"`objective` of {type(self).__name__} must be {kind.__name__} of "
            wanted += "its constructor's arguments; `zoo.VAE` takes any."
            checks.require(alike, wanted, objective)
        wanted = "`objective` may change between two fits, not within one; a weight "
        wanted += "does by a schedule: `ELBO(beta=zoo.schedules.Linear(0, 1, steps))`."
        checks.require(not self._fitting, wanted, objective)
        self._objective = objective
        try:
            self.complete()  # its terms are other metrics
        except Exception:
            self._objective = before
            raise
        self.train_function = self.test_function = None  # traced with the old one

    # Hooks: what a variant overrides.

    def features(self, x, given):
        """What an image needs once for all its draws: tensors `[B, ...]`."""
        raise NotImplementedError

    def walk(self, draw: Draw, features=None, given=None):
        """Draws every latent layer, top first; returns what the likelihood sees.

        Without features it generates.
        """
        raise NotImplementedError

    def likelihood(self, out, given) -> tfd.Distribution:
        """p(x|z) of what a walk returned, one event per image; `given` has its rows."""
        raise NotImplementedError

    def log_likelihood(self, draw: Draw, x, likelihood) -> tf.Tensor:
        """log p(x|z) in nats, `[K*B]`, of x `[B, ...]` under all of its draws."""
        many = tf.is_tensor(draw.samples)  # importance samples, outside training
        if many and hasattr(likelihood, "log_prob_of_draws"):
            return likelihood.log_prob_of_draws(x)
        return likelihood.log_prob(draw.repeat(x))

    def terms(self, draw: Draw, log_p) -> dict[str, tf.Tensor]:
        """Terms to minimise in nats, a pure function of the record."""
        terms = self.objective(draw, log_p, self.step)
        wanted = "`objective` must return a dict of terms by name."
        checks.require(isinstance(terms, dict), wanted, type(terms).__name__)
        taken = {"loss", "elbo", "rate"} & terms.keys()
        wanted = "Terms must not be called as a metric of another value is."
        checks.require(not taken, wanted, ", ".join(taken))
        return {**terms, **draw.terms}

    def reports(self, draw: Draw) -> dict[str, tf.Tensor]:
        """More metrics, single numbers from a walk's record."""
        return {}

    def active_units(self, draw: Draw) -> dict[str, tf.Tensor]:
        """Each layer's active units by name, such as `active_units_2`, for `reports`.

        Over one batch, so that they are less exact than `zoo.evaluation.information`.
        """
        names = self.latent_names(len(draw.latents))
        names = [f"active_units{z.removeprefix('z')}" for z in names]
        return dict(zip(names, draw.active_units))

    # Final.

    def measure(self, x, given, seed, num_samples=None):
        if num_samples:
            draw = self._sampling(seed, x, num_samples)
        else:
            draw = self.objective.draw(seed, tf.shape(x)[0])
        likelihood, log_p = self._drawn(draw, x, given, self.features(x, given))
        for latent in draw.latents:
            if latent.z.dtype.is_floating:
                parts.check_reparameterised(latent.posterior)
        rates, rate = draw.rates, tf.add_n(draw.rates)
        metrics = {"elbo": log_p - rate, "rate": rate, "distortion": -log_p}
        if rates[1:]:
            names = self.latent_names(len(rates))
            metrics |= {f"rate{z.removeprefix('z')}": r for z, r in zip(names, rates)}
        if not num_samples:
            metrics |= self.objective.reports(draw, log_p)
        for name, value in self.reports(draw).items():
            metrics[name] = tf.fill(tf.shape(rate), value)
        output = draw.split(likelihood.mean())[0]
        return Measures(self.terms(draw, log_p), metrics, output)

    def complete(self):
        super().complete()
        x, given = self.example()
        draw = Mean(1)
        self.walk(draw, self.features(x, given), given)
        # What one z of every layer is, by name, top layer first.
        fields = [latent.field() for latent in draw.latents]
        self.latent_fields = dict(zip(self.latent_names(len(fields)), fields))

    @property
    def fields(self):
        return {"x": Field(self.event_shape, "float32", self.likelihood_head.support)}

    @property
    def event_shape(self):
        raise NotImplementedError

    @property
    def is_mass(self):
        return self.likelihood_head.is_mass

    def is_fixed(self, name):
        return super().is_fixed(name) or name in vars(self.objective)

    # What a user calls; pure functions: same seed, same answer, no state.

    def encode(self, x, given=None) -> list[tf.Tensor]:
        """Means of the posteriors, `[B, ...]`, top layer first. Runs as a graph."""
        return [mean for mean, _ in self.moments(x, given)]

    def moments(self, x, given=None) -> list[tuple[tf.Tensor, tf.Tensor | None]]:
        """Means and standard deviations of the posteriors, `[B, ...]`, top layer first.

        Each is that of a layer given the means of those it depends on. Posteriors
        without one, such as points and flows, have None.
        """
        return self._moments(*self._as_batch(x, given))

    def decode(self, *z, given=None) -> tf.Tensor:
        """Mean of p(x|z) for latents `[..., D]`, one argument per latent layer.

        The top layer comes first; those left out at the end take their prior's mean.
        Runs as a graph, which does not see layers that are exchanged later.
        """
        z, leading = checks.check_codes(z, self.latent_fields)
        mean = self._decode(z, self._as_given(given, z[0].shape[0]))
        return tf.reshape(mean, tf.concat([leading, tf.shape(mean)[1:]], axis=0))

    def sample(
        self, n: int = 1, given=None, *, seed: int = 0, temperature: float | None = None
    ) -> tf.Tensor:
        """Means of p(x|z) with z from the prior, `[n, *event_shape]`, as a graph.

        With a seed for each image, `[n]`, an image is what its own seed gives alone. A
        `temperature` below 1 multiplies the standard deviations of normal priors: less
        variety, often better pictures (Vahdat & Kautz, 2020, section 4).
        """
        given, words = self._as_draws(n, given, seed)
        # None, as graphs for seeds of both ranks must not be mistaken for one another.
        n = tf.cast(n, tf.int32) if words.shape.rank == 1 else None
        if temperature is not None:
            checks.not_negative(temperature=temperature)
            temperature = tf.cast(temperature, tf.float32)
        return self._sample(n, given, words, temperature)

    def log_weights(
        self, x, given=None, *, num_importance_samples: int = 1, seed=0
    ) -> tf.Tensor:
        """log p(x, z) - log q(z|x) of K draws in nats, `[K, B]`."""
        if not tf.is_tensor(num_importance_samples):
            checks.at_least(1, num_importance_samples=num_importance_samples)
        x, given = self._as_batch(x, given)
        draw = self._sampling(seed_words(seed), x, num_importance_samples)
        return self.log_weights_of(draw, x, given, self.features(x, given))

    def log_prob(
        self, x, given=None, *, num_importance_samples=128, seed=0, chunk=32
    ) -> tf.Tensor:
        """Importance-weighted estimate of log p(x) in nats, `[B]`; a lower bound.

        Streams the log-mean-exp of `chunk` draws of each image at a time, two chunks in
        parallel (Burda et al., 2016, eq. 8), as a graph. Same seed and chunk, same
        answer. `zoo.evaluation` does it for whole data sets.
        """
        total = num_importance_samples
        if not tf.is_tensor(total):
            checks.at_least(1, num_importance_samples=total, chunk=chunk)
            chunk = min(chunk, total)
        x, given = self._as_batch(x, given)
        return self._log_prob(x, given, total, seed_words(seed), chunk)

    def log_weights_of(self, draw: Draw, x, given, features) -> tf.Tensor:
        """log p(x, z) - log q(z|x) of a draw's latents in nats, `[K, B]`."""
        _, log_p = self._drawn(draw, x, given, features)
        return draw.split(bounds.log_weights(log_p, draw.latents))

    # Private.

    @tf.function(reduce_retracing=True, autograph=False)
    def _moments(self, x, given):
        draw = Mean(tf.shape(x)[0])
        self.walk(draw, self.features(x, given), given)
        return [(latent.z, latent.stddev()) for latent in draw.latents]

    @tf.function(reduce_retracing=True, autograph=False)
    def _decode(self, z, given):
        out = self.walk(Given(z, tf.shape(z[0])[0]), None, given)
        return self.likelihood(out, given).mean()

    @tf.function(reduce_retracing=True, autograph=False)
    def _sample(self, n, given, seed, temperature):
        shapes = [field.shape for field in self.latent_fields.values()]
        draw = generating(seed, n, shapes, temperature)
        return self.likelihood(self.walk(draw, None, given), given).mean()

    @tf.function(reduce_retracing=True, autograph=False)
    def _log_prob(self, x, given, total, seed, chunk):
        features = self.features(x, given)

        def log_w(index, count):
            draw = self._sampling(tf.random.fold_in(seed, index), x, count)
            return self.log_weights_of(draw, x, given, features)

        return bounds.streamed_iw_elbo(log_w, tf.shape(x)[0], total, chunk)

    def _drawn(self, draw, x, given, features):
        """p(x|z) of the latents that a walk draws, and log p(x|z)."""
        out = self.walk(draw, features, given)
        likelihood = self.likelihood(out, draw.repeat(given))
        parts.check_distribution("The likelihood", likelihood, x.shape[1:])
        return likelihood, self.log_likelihood(draw, x, likelihood)

    def _sampling(self, seed, x, samples):
        return Sample(seed, samples * tf.shape(x)[0], samples)
