"""Any model of p(x), or of p(x | given): what all of them do, whatever they compute."""

import contextlib
import os
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import NamedTuple

import keras
import tensorflow as tf

from zoo import checks, devices, internals, serving
from zoo.draws import DRAWS, DRAWS_AT_A_TIME, seed_words
from zoo.image_files import IMAGE_BYTES
from zoo.model import Model


class Measures(NamedTuple):
    """What one pass over a batch gives."""

    terms: dict[str, tf.Tensor]  # to minimise, nats, of any shape
    metrics: dict[str, tf.Tensor]  # to report, `[rows]`
    output: tf.Tensor  # what `predict` returns, `[B, ...]`
    weights: dict[str, tf.Tensor] = MappingProxyType({})  # of a metric's images


class GenerativeModel(Model):
    """Base of every model: a subclass says what its data are and how to measure them.

    Data are x, or a dict of `x` and of what it is conditioned on, one row per image;
    beside x the conditions are the dict `given`.

    A new model measures one row of plain values before anybody sees it: that builds
    every layer, tells the names of the metrics, and fails where parts do not fit.

    Args:
        seed: seed of the noise that training and `predict` draw.
    """

    exact = False  # whether `log_prob` is log p(x) itself; otherwise a lower bound
    is_mass = False  # whether p(x) is a probability mass; otherwise a density

    def __init__(self, *, seed: int = 0, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.seed = seed
        self.step = self._add_counter("step")  # training steps: what schedules see
        self.calls = self._add_counter("calls")  # forward passes: fresh noise for each

    # Hooks.

    @property
    def fields(self) -> dict[str, checks.Field]:
        """`x` first, then the conditions: their shapes, dtypes and supports."""
        raise NotImplementedError

    @property
    def given_fields(self) -> dict[str, checks.Field]:
        """The conditions that an image is made of."""
        return {name: f for name, f in self.fields.items() if name != "x"}

    def measure(self, x, given, seed, num_samples=None) -> Measures:
        """One pass over a batch `[B, ...]`; `seed` is an `int32[2]`.

        With latents: `num_samples` draws of each image, by default as in training.
        """
        raise NotImplementedError

    def log_prob(self, x, given=None) -> tf.Tensor:
        """log p(x | given) in nats, `[B]`: exact, or a lower bound that says so."""
        raise NotImplementedError

    def sample(self, n: int = 1, given=None, *, seed: int = 0) -> tf.Tensor:
        """n images, `[n, *event_shape]`; `given` has n rows, and `seed` may have.

        Models with normal latents take a `temperature` too.
        """
        raise NotImplementedError

    def encode(self, x, given=None) -> list[tf.Tensor]:
        """Deterministic codes of x, `[B, ...]` per latent layer, top first."""
        raise NotImplementedError

    def decode(self, *z, given=None) -> tf.Tensor:
        """Images of codes, `[B, *event_shape]`."""
        raise NotImplementedError

    def moments(self, x, given=None) -> list[tuple[tf.Tensor, tf.Tensor | None]]:
        """What `encode` returns, with its standard deviation where it has one."""
        return [(z, None) for z in self.encode(x, given)]

    # The one forward pass that Keras trains; final.

    def call(self, inputs, training=False):
        """Adds the terms as losses, measures the metrics and returns the output."""
        given = dict(inputs) if isinstance(inputs, dict) else {"x": inputs}
        checks.check_traced(given, self.fields)
        given = checks.completed(given, self.fields, tf.shape(given["x"])[0])
        seed = tf.random.fold_in(seed_words(self.seed), self.calls.assign_add(1))
        others, rows = devices.sharing(), tf.shape(given["x"])[0]
        if others:
            seed = tf.random.fold_in(seed, others.replica_id_in_sync_group)
            x, conditions = self.example()
            given = devices.never_empty(given, {"x": x, **conditions})
        x = given.pop("x")
        with devices.weighing(rows) if others else contextlib.nullcontext():
            measures = self.measure(x, given, seed)
            losses = [tf.reduce_mean(term) for term in measures.terms.values()]
            losses = [devices.weighed(loss) for loss in losses] if others else losses
        if others:
            internals.drop_losses(self)  # those that the other devices have added
        for loss in losses:
            self.add_loss(loss)
        size = tf.cast(rows, tf.float32)
        sizes = {name: tf.reduce_sum(w[:rows]) for name, w in measures.weights.items()}
        self._reports.latest = {
            name: (tf.reduce_mean(value), sizes.get(name, size))
            for name, value in {**measures.metrics, **measures.terms}.items()
        }
        if training:
            self._count()
            self.step.assign_add(1)
        return measures.output[:rows] if others else measures.output

    def compute_loss(self, *args, **kwargs):
        """As in Keras; a step that evaluates counts its metrics here.

        A call in training does so itself. Other calls of the model, such as a
        callback's, leave the metrics of a running epoch alone.
        """
        self._count()
        return super().compute_loss(*args, **kwargs)

    def _count(self):
        for name, (mean, weight) in self._reports.latest.items():
            self._reports.means[name].update_state(mean, sample_weight=weight)
        self._reports.latest = {}

    def complete(self):
        for name in self.fields:
            taken = name in (DRAWS, IMAGE_BYTES, "n", "seed", "self")
            taken = taken or name.split("_")[0] == "z"
            wanted = "Conditions are named as arguments are, and not as one of the "
            wanted += "served functions' own."
            checks.require(name.isidentifier() and not taken, wanted, repr(name))
        x, given = self.example()
        measures = self.measure(x, given, seed_words(self.seed))
        names = {**measures.metrics, **measures.terms}
        means = {name: keras.metrics.Mean(name) for name in names}
        # Hidden from Keras: they are no weights.
        self._reports = SimpleNamespace(means=means, latest={})
        self.built = True

    @tf.function(reduce_retracing=True, autograph=False)
    def log_prob_of_rows(self, x, given, seeds, draws) -> tf.Tensor:
        """log p(x) `[B]` in nats, each row as if it came alone.

        Rows have their own seeds, `[B]` int64, and numbers of importance samples, `[B]`
        int32; an exact model has no need of it.
        """

        def one(row):
            x, given, seed, draws = row
            given = {name: value[None] for name, value in given.items()}
            options = {DRAWS: draws, "chunk": tf.constant(DRAWS_AT_A_TIME)}
            return self.log_prob(x[None], given, seed=seed, **options)[0]

        options = {"fn_output_signature": tf.float32, "parallel_iterations": 1}
        return tf.map_fn(one, (x, given, seeds, draws), **options)

    def reconstruct(self, x, given=None) -> tf.Tensor:
        """The images of the codes of x, `[B, *event_shape]`."""
        x, given = self._as_batch(x, given)
        return self.decode(*self.encode(x, given), given=self._of_image(given))

    def interpolate(self, x_0, x_1, given=None, *, steps: int = 8) -> tf.Tensor:
        """Images of the codes on straight lines from those of x_0 to those of x_1.

        Both are `[B, *event_shape]`; returns `[steps, B, *event_shape]`, ends included.
        All have the conditions `given`, which may come in a dict with x_0.
        Raises a ValueError if codes are whole numbers, or `steps` less than two.
        """
        checks.at_least(2, steps=steps)
        x_0, given = self._as_batch(x_0, given)
        ends = list(zip(self.encode(x_0, given), self.encode(x_1, given)))
        rows = [tuple(z.shape[:1]) for z in ends[0]]
        wanted = "x_0 and x_1 must have as many rows as one another."
        checks.require(rows[0] == rows[1], wanted, f"{rows[0]} and {rows[1]}")
        whole = [z.dtype.name for z, _ in ends if z.dtype.is_integer]
        checks.require(not whole, "Codes must not be whole numbers.", whole)
        lines = [[a + (b - a) * w for a, b in ends] for w in tf.linspace(0.0, 1, steps)]
        given = self._of_image(given)
        return tf.stack([self.decode(*z, given=given) for z in lines])

    def export(self, path: str | os.PathLike, **options) -> Path:
        """Writes the model for TensorFlow Serving; see `zoo.serving.export`."""
        return serving.export(self, path, **options)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one image or row."""
        return self.fields["x"].shape

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return [*super().metrics, *self._reports.means.values()]

    def check(self, data) -> None:
        """Raises a ValueError that says why, if this model cannot take `data`."""
        checks.check_source(data, self.fields)

    def check_conditions(self, given: dict) -> None:
        """Raises a ValueError if one that an image is made of is not known."""
        checks.check_arrays(self._of_image(given), self.given_fields)

    def example(self) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """One row of plain values: x and the conditions."""
        rows = {name: field.example() for name, field in self.fields.items()}
        return rows.pop("x"), rows

    def latent_names(self, count: int) -> list[str]:
        """z, or z_L, ..., z_1 of L layers: the bottom one is 1, lists are top first."""
        return ["z"] if count == 1 else [f"z_{i}" for i in range(count, 0, -1)]

    # Private.

    def _add_counter(self, name):
        # Each device counts by itself: waiting for the others would mix their losses.
        kinds = {"synchronization": "on_read", "aggregation": "only_first_replica"}
        return keras.Variable(0, dtype="int32", trainable=False, name=name, **kinds)

    def _as_batch(self, x, given=None):
        """x and the conditions as tensors of their fields' dtypes, checked.

        They may come as one dict, as `fit` takes them.
        """
        data = checks.together(x, given)
        checks.check_arrays(data, self.fields)
        data = checks.completed(data, self.fields, tf.shape(data["x"])[0])
        return data.pop("x"), data

    def _of_image(self, given) -> dict:
        """Those of the conditions that an image is made of."""
        given, made_of = checks.named(given), self.given_fields
        return {name: rows for name, rows in given.items() if name in made_of}

    def _as_draws(self, n, given, seed):
        """The conditions of n images and the words of a seed, or of n, checked."""
        if not tf.is_tensor(n):
            checks.at_least(1, n=n)
        given, words = self._as_given(given, n), seed_words(seed)
        alike = words.shape.rank == 1 or tf.is_tensor(n) or n == words.shape[0]
        wanted = "`seed` must be a number, or one for each image."
        checks.require(alike, wanted, f"{words.shape[0]} of them, n={n}")
        return given, words

    def _as_given(self, given, rows) -> dict[str, tf.Tensor]:
        """The conditions as tensors, one for each of as many rows, checked."""
        fields, given = self.given_fields, checks.named(given)
        checks.check_arrays(given, fields, rows)
        return checks.completed(given, fields, rows)
