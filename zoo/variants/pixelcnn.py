"""Gated PixelCNN: an exact model of maps of whole numbers, such as a VQ-VAE's codes."""

from collections.abc import Sequence

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from zoo import checks
from zoo.draws import generating
from zoo.generative import GenerativeModel, Measures
from zoo.networks import Conv2D, Dense
from zoo.networks.attention import CausalAttention
from zoo.networks.gated import GatedConv


@keras.saving.register_keras_serializable("zoo")
class PixelCNN(GenerativeModel):
    """log p(x) = sum_ij log p(x_ij | those above and left of it), row by row; exact.

    With `upper` it is conditional, on a coarser map of whole numbers that `given` then
    holds under that name: as a VQ-VAE's lower codes are on those above them.

    With `attention_heads` the last layer's places attend to all before them, as in the
    top prior of VQ-VAE-2.

    `sample` keeps what every layer has computed: a row is finished once for the rows
    below it, and each place costs one step of each layer instead of a whole network.
    Codes are their own codes: `encode` and `decode` change nothing.

    Args:
        shape: height and width of x.
        levels: x is 0, ..., levels - 1.
        channels: of the layers.
        depth: number of layers.
        kernel_size: see `zoo.networks.GatedConv`.
        upper: height, width and number of levels of the map that it is conditional on.
        attention_heads: of a `zoo.networks.CausalAttention` behind the layers; 0 for
            none.
        **kwargs: as for `zoo.GenerativeModel`.

    Raises:
        ValueError: if the sizes do not fit, or a number is too small.

    Example:
        prior = zoo.PixelCNN((7, 7), levels=128)
        prior.fit(vq_vae.encode(images)[0])

    Reference: van den Oord et al., "Conditional Image Generation with PixelCNN
    Decoders", 2016; Razavi et al., 2019, section 3.2.
    """

    exact = True
    is_mass = True

    def __init__(
        self,
        shape: Sequence[int],
        levels: int,
        channels: int = 64,
        depth: int = 6,
        kernel_size: int = 3,
        upper: Sequence[int] | None = None,
        attention_heads: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        checks.check_shape(shape, axes=2)
        self.shape = tuple(shape)
        self.levels = levels
        self.channels = channels
        self.depth = depth
        self.kernel_size = kernel_size
        self.upper = None if upper is None else tuple(upper)
        self.attention_heads = attention_heads
        checks.at_least(2, levels=levels)
        checks.at_least(1, channels=channels, depth=depth, side=min(self.shape))
        odd = kernel_size >= 3 and kernel_size % 2 == 1
        checks.require(odd, "`kernel_size` must be odd, 3 or more.", f"{kernel_size=}")
        self.embedding = keras.layers.Embedding(levels, channels, dtype="float32")
        self.gated = [GatedConv(channels, kernel_size) for _ in range(depth)]
        for layer in self.gated:
            layer.build()
        self.attention = None
        if attention_heads:
            places = self.shape[0] * self.shape[1]
            self.attention = CausalAttention(places, channels, attention_heads)
            self.attention.build()
        self.head = [Dense(channels), Dense(levels)]
        if upper is not None:
            wanted = "`upper` is (height, width, levels) of the codes above."
            checks.per_layer(upper=upper)
            checks.require(len(upper) == 3, wanted, f"{upper=}")
            sides = zip(self.shape, self.upper[:2])
            self.stride = tuple(side // small for side, small in sides)
            whole = all(a * s == b for a, s, b in zip(upper, self.stride, self.shape))
            wanted = "`shape` must be a multiple of that of `upper`."
            checks.require(whole, wanted, f"{self.shape=}, {self.upper=}")
            self.upper_embedding = keras.layers.Embedding(self.upper[2], channels)
            self.upper_conv = Conv2D(channels, 3, padding="same", activation="relu")
            self.upper_maps = [Dense(4 * channels) for _ in self.gated]

    @property
    def fields(self):
        fields = {"x": self._field(self.shape, self.levels)}
        if self.upper is not None:
            fields["upper"] = self._field(self.upper[:2], self.upper[2])
        return fields

    @staticmethod
    def _field(shape, levels):
        return checks.Field(tuple(shape), "int32", (0, levels - 1))

    def measure(self, x, given, seed, num_samples=None):
        log_p = self._log_p(x, given)
        return Measures({"negative_log_prob": -log_p}, {"log_prob": log_p}, x)

    def log_prob(self, x, given=None):
        return self._log_p(*self._as_batch(x, given))

    def logits(self, x, given) -> tf.Tensor:
        """Of every place, `[B, H, W, levels]`, each from what comes before it."""
        e = self.embedding(x)
        v = tf.pad(e, [[0, 0], [1, 0], [0, 0], [0, 0]])[:, :-1]  # from the row above
        h = tf.pad(e, [[0, 0], [0, 0], [1, 0], [0, 0]])[:, :, :-1]  # from the left
        for layer, c in zip(self.gated, self._conditions(given)):
            v, h = layer(v, h, c)
        if self.attention:
            flat = [-1, self.attention.places, self.channels]
            seen = self.attention(tf.reshape(h, flat), tf.reshape(e, flat))
            h = tf.reshape(seen, tf.shape(h))
        return self._head(h)

    def encode(self, x, given=None):
        return [self._as_batch(x, given)[0]]

    def decode(self, *z, given=None):
        (x,), leading = checks.check_codes(z, {"z": self.fields["x"]})
        return tf.reshape(x, tf.concat([leading, self.shape], axis=0))

    def sample(self, n=1, given=None, *, seed=0):
        """Maps `[n, H, W]`, int32; a seed, or one for each."""
        given, words = self._as_draws(n, given, seed)
        draw = generating(words, n, [()])  # of no normal noise
        noise, _ = draw.take(self.distribution({}).noise())
        return self._choose(noise, given)

    def distribution(self, given) -> tfd.Distribution:
        """p(x | given), of one batch row for each of `given`'s, if there is one."""
        return Maps(self, given)

    @tf.function(reduce_retracing=True, autograph=False)
    def _choose(self, noise, given):
        """Each place's largest sum of logit and noise, `[n, H, W]`, in order.

        With Gumbel noise `[n, H, W, levels]` that is a draw. Of every layer the loops
        carry the vertical stack's last rows and the horizontal stack's last places,
        and what attention knows of all of them.
        """
        height, width = self.shape
        n, back = noise.shape[0] or tf.shape(noise)[0], self.gated[0].back
        conditions, half = self._conditions(given), 2 * self.channels

        def one_row(i, e_above, rows, past, x):
            v, found, new_rows = e_above[:, None], [], []
            for layer, above, c in zip(self.gated, rows, conditions):
                strip = tf.concat([above, v], axis=1)
                new_rows.append(strip[:, 1:])
                part = None if c is None else tf.gather(c, [i], axis=1)[..., :half]
                v, cross = layer.rows(strip, part)
                found.append(cross)

            def one_place(j, e_left, places, past, e_row, x_row):
                h, new_places = e_left[:, None, None], []
                parts = zip(self.gated, places, found, conditions)
                for layer, left, cross, c in parts:
                    strip = tf.concat([left, h], axis=2)
                    new_places.append(strip[:, :, 1:])
                    part = None
                    if c is not None:
                        row = tf.gather(c, [i], axis=1)
                        part = tf.gather(row, [j], axis=2)[..., half:]
                    h = layer.columns(strip, tf.gather(cross, [j], axis=2), h, part)
                h = seen = h[:, 0, 0]
                if self.attention:
                    seen = self.attention.look(h, past, i * width + j)
                logits = self._head(seen) + noise[:, i, j]
                code = tf.argmax(logits, axis=-1, output_type=tf.int32)
                e = self.embedding(code)
                if self.attention:
                    past = self.attention.remember(h, e, past, i * width + j)
                e_row, x_row = e_row.write(j, e), x_row.write(j, code)
                return j + 1, e, new_places, past, e_row, x_row

            start = tf.zeros((n, self.channels))
            places = [tf.zeros((n, 1, back, self.channels)) for _ in self.gated]
            arrays = (tf.TensorArray(t, width) for t in (tf.float32, tf.int32))
            *_, past, e_row, x_row = tf.while_loop(
                lambda j, *_: j < width, one_place, (0, start, places, past, *arrays)
            )
            e_row = tf.transpose(e_row.stack(), [1, 0, 2])
            return i + 1, e_row, new_rows, past, x.write(i, x_row.stack())

        past = self.attention.start(n) if self.attention else ()
        start = tf.zeros((n, width, self.channels))
        rows = [tf.zeros((n, back, width, self.channels)) for _ in self.gated]
        *_, x = tf.while_loop(
            lambda i, *_: i < height,
            one_row,
            (0, start, rows, past, tf.TensorArray(tf.int32, height)),
        )
        return tf.transpose(x.stack(), [2, 0, 1])

    def _conditions(self, given) -> list:
        """What every layer is told of `upper`, `[B, H, W, 4 C]`, or None."""
        if self.upper is None:
            return [None] * self.depth
        maps = self.upper_conv(self.upper_embedding(given["upper"]))
        down, across = self.stride
        maps = tf.repeat(tf.repeat(maps, down, axis=1), across, axis=2)
        return [tf.cast(dense(maps), tf.float32) for dense in self.upper_maps]

    def _log_p(self, x, given):
        codes = tfd.Independent(tfd.Categorical(self.logits(x, given)), 2)
        return codes.log_prob(x)

    def _head(self, h):
        for dense in self.head:
            h = dense(tf.nn.relu(h))
        return tf.cast(h, tf.float32)


class Maps(tfd.Distribution):
    """A PixelCNN's maps `[H, W]`, int32, as a distribution."""

    def __init__(self, model: PixelCNN, given: dict):
        parameters = dict(locals())
        self.model = model
        self.upper = given.get("upper")
        self.levels = model.levels
        super().__init__(
            dtype=tf.int32,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters=parameters,
            name="maps",
        )

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return {}  # a model, which has no shape

    def _batch_shape(self):
        return tf.TensorShape([] if self.upper is None else self.upper.shape[:1])

    def _batch_shape_tensor(self, **_):
        return (
            tf.zeros([0], tf.int32) if self.upper is None else tf.shape(self.upper)[:1]
        )

    def _event_shape(self):
        return tf.TensorShape(self.model.shape)

    def _event_shape_tensor(self, **_):
        return tf.constant(self.model.shape, tf.int32)

    def _log_prob(self, value):
        flat = tf.reshape(value, [-1, *self.model.shape])
        log_p = self.model._log_p(flat, self._given(tf.shape(flat)[0]))
        return tf.reshape(log_p, tf.shape(value)[:-2])

    def _sample_n(self, n, seed=None):
        shape = tf.concat([[n], self.batch_shape_tensor()], axis=0)
        gumbel = self.noise().sample(tf.reduce_prod(shape), seed=seed)
        maps = self._of_noise(gumbel)
        return tf.reshape(maps, tf.concat([shape, self.model.shape], axis=0))

    def sample_each(self, seeds) -> tf.Tensor:
        """A map for each seed `[N, 2]`, what that seed gives alone; `[N, H, W]`."""
        noise = self.noise()
        spec = tf.TensorSpec(noise.event_shape, tf.float32)
        one = lambda seed: noise.sample(seed=seed)  # noqa: E731
        return self._of_noise(tf.map_fn(one, seeds, fn_output_signature=spec))

    def noise(self) -> tfd.Distribution:
        """What the largest sums of logits and noise are drawn with."""
        shape = (*self.model.shape, self.levels)
        return tfd.Sample(tfd.Gumbel(0.0, 1.0), shape)

    def _of_noise(self, noise):
        return self.model._choose(noise, self._given(tf.shape(noise)[0]))

    def _given(self, rows) -> dict:
        """The upper maps, for so many rows."""
        if self.upper is None:
            return {}
        return {"upper": tf.tile(self.upper, [rows // tf.shape(self.upper)[0], 1, 1])}
