"""Glow: an invertible network of images, whose likelihood is exact."""

import math
from collections.abc import Sequence

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from zoo import bounds, checks
from zoo.draws import generating, seed_words
from zoo.flows.image import glow_steps
from zoo.generative import GenerativeModel, Measures
from zoo.networks import Conv2D

ALPHA = 1e-5  # the logit's distance from its poles; larger ones trained more slowly


@keras.saving.register_keras_serializable("zoo")
class Glow(GenerativeModel):
    """Maps images to standard normal noise and back, scale by scale.

    Pixels are widened first, as many of them are black or white and have hardly any
    room there: logit(alpha + (1 - 2 alpha) y), alpha = 1e-5. Then each scale trades
    places for channels, 2 x 2 to one, and takes steps of actnorm, invertible 1x1
    convolution and affine coupling; then half of the channels leave as latents, normal
    given the other half, which go on to the next scale.

    Data are x = k / (levels - 1). Their levels are spread to densities by uniform
    noise u, y = (k + u) / levels, and the mass of an image is

        P(x) = E_u[p(y)] / levels^D >= exp(E_u[log p(y)]) / levels^D

    so that `log_prob` with K draws of u is a lower bound on log P(x) in nats, as of a
    model with latents. `log_density(y)` is exact.

    `encode` returns the noise of every scale, N(0, I) under the model, the last scale's
    first; `decode` is its inverse, so that `interpolate` passes through real images.

    Args:
        image_shape: height, width and channels; the scales must halve the image.
        scales: number of scales.
        steps: of each scale.
        units: channels of the couplings' hidden layers.
        levels: of the data, 256 for 8-bit images.
        **kwargs: as for `zoo.GenerativeModel`.

    Raises:
        ValueError: if the scales cannot halve the image, or a number is too small.

    Example:
        glow = zoo.Glow((28, 28, 1), scales=2, steps=8, units=64)
        zoo.networks.initialise(glow, images[:256])

    Reference: Kingma & Dhariwal, "Glow: Generative Flow with Invertible 1x1
    Convolutions", 2018; dequantisation: Theis et al., 2016, section 3.1; the logit:
    Dinh et al., "Density Estimation Using Real NVP", 2017, section 4.1.
    """

    is_mass = True

    def __init__(
        self,
        image_shape: Sequence[int],
        scales: int = 2,
        steps: int = 8,
        units: int = 64,
        levels: int = 256,
        **kwargs,
    ):
        super().__init__(**kwargs)
        checks.check_shape(image_shape, axes=3)
        self.image_shape = tuple(image_shape)
        self.scales = scales
        self.steps = steps
        self.units = units
        self.levels = levels
        checks.at_least(1, scales=scales, steps=steps, units=units)
        checks.at_least(2, levels=levels)
        wanted = f"{scales} scales must halve the image without a rest."
        halves = all(side % 2**scales == 0 for side in self.image_shape[:2])
        checks.require(halves, wanted, f"image_shape={self.image_shape}")
        self.flows = [glow_steps(steps, units) for _ in range(scales)]
        zeros = {"padding": "same", "kernel_initializer": "zeros"}
        height, width, channels = self.image_shape
        self.splits, self.shapes = [], []
        for scale in range(1, scales + 1):
            size, channels = (height // 2**scale, width // 2**scale), channels * 4
            for layer in self.flows[scale - 1]:
                layer.build((None, *size, channels))
            if scale < scales:
                channels //= 2
                self.splits.append(Conv2D(2 * channels, 3, **zeros))
                self.splits[-1].build((None, *size, channels))
            self.shapes.append((*size, channels))

    @property
    def fields(self):
        return {"x": checks.Field(self.image_shape, "float32", (0.0, 1.0))}

    def measure(self, x, given, seed, num_samples=None):
        log_p = tf.reduce_mean(self._log_p(x, seed, num_samples or 1), axis=0)
        return Measures({"negative_log_prob": -log_p}, {"log_prob": log_p}, x)

    def log_density(self, y) -> tf.Tensor:
        """log p(y) in nats, `[B]`, of images in [0, 1] as a density; exact."""
        noise, log_det = self.forward(y)
        log_p = [tfd.Normal(0.0, 1.0).log_prob(e) for e in noise]
        return tf.add_n([tf.reduce_sum(p, axis=[1, 2, 3]) for p in log_p]) + log_det

    def forward(self, y) -> tuple[list[tf.Tensor], tf.Tensor]:
        """The noise of every scale, first scale first, and log|det| `[B]` in nats."""
        z, log_det = widen(y)
        noise = []
        for i, flow in enumerate(self.flows):
            z = tf.nn.space_to_depth(z, 2)
            for layer in flow:
                z, change = layer.forward(z)
                log_det += change
            if i < len(self.splits):
                z, leaves = tf.split(z, 2, axis=-1)
                loc, log_scale = self._leaving(i, z)
                noise.append((leaves - loc) * tf.exp(-log_scale))
                log_det -= tf.reduce_sum(log_scale, axis=[1, 2, 3])
        return [*noise, z], log_det

    def inverse(self, noise) -> tf.Tensor:
        """Images of the noise of every scale, first scale first."""
        *noise, z = noise
        for i in reversed(range(self.scales)):
            if i < len(self.splits):
                loc, log_scale = self._leaving(i, z)
                z = tf.concat([z, noise[i] * tf.exp(log_scale) + loc], axis=-1)
            for layer in reversed(self.flows[i]):
                z = layer.inverse(z)
            z = tf.nn.depth_to_space(z, 2)
        return (tf.sigmoid(z) - ALPHA) / (1.0 - 2.0 * ALPHA)

    def log_prob(self, x, given=None, *, num_importance_samples=1, seed=0, chunk=8):
        """log P(x) in nats, `[B]`: a lower bound, with draws of the dequantisation."""
        total = num_importance_samples
        if not tf.is_tensor(total):
            checks.at_least(1, num_importance_samples=total, chunk=chunk)
            chunk = min(chunk, total)
        x, _ = self._as_batch(x, given)
        return self._log_prob(x, total, seed_words(seed), chunk)

    def encode(self, x, given=None):
        x, _ = self._as_batch(x, given)
        middle = x * ((self.levels - 1) / self.levels) + 0.5 / self.levels
        return self._encode(middle)

    def decode(self, *z, given=None):
        shapes = self.shapes[::-1]
        names = self.latent_names(len(shapes))
        fields = dict(zip(names, map(checks.Field, shapes)))
        z, leading = checks.check_codes(z, fields)
        self._as_given(given, z[0].shape[0])
        z += [tf.zeros((tf.shape(z[0])[0], *shape)) for shape in shapes[len(z) :]]
        x = self._decode(z)
        return tf.reshape(x, tf.concat([leading, tf.shape(x)[1:]], axis=0))

    def sample(self, n=1, given=None, *, seed=0, temperature=1.0):
        """Images `[n, *event_shape]`, clipped to [0, 1]; a seed, or one for each.

        `temperature` multiplies the standard deviation of the noise; less than 1 gives
        fewer and smoother kinds of images.
        """
        _, words = self._as_draws(n, given, seed)
        checks.not_negative(temperature=temperature)
        draw = generating(words, n, self.shapes)
        noise = [draw.take(tfd.Sample(tfd.Normal(0.0, 1.0), s))[0] for s in self.shapes]
        return self._decode([temperature * e for e in noise[::-1]])

    def _leaving(self, scale, z):
        """Mean and log scale of the latents that leave, given those that stay."""
        return tf.split(tf.cast(self.splits[scale](z), tf.float32), 2, axis=-1)

    def _as_data(self, y):
        """From the middles of levels in [0, 1] to x."""
        x = (y * self.levels - 0.5) / (self.levels - 1)
        return tf.clip_by_value(x, 0.0, 1.0)

    def _log_p(self, x, seed, count):
        """log p(y) - D log(levels) of `count` draws of each image, `[count, B]`."""
        levels = tf.tile(tf.round(x * (self.levels - 1)), [count, 1, 1, 1])
        noise = tf.random.stateless_uniform(tf.shape(levels), seed)
        log_p = self.log_density((levels + noise) / self.levels)
        log_p -= math.log(self.levels) * math.prod(self.image_shape)
        return tf.reshape(log_p, [count, -1])

    @tf.function(reduce_retracing=True, autograph=False)
    def _encode(self, y):
        return self.forward(y)[0][::-1]

    @tf.function(reduce_retracing=True, autograph=False)
    def _decode(self, z):
        return self._as_data(self.inverse(z[::-1]))

    @tf.function(reduce_retracing=True, autograph=False)
    def _log_prob(self, x, total, seed, chunk):
        def log_w(index, count):
            return self._log_p(x, tf.random.fold_in(seed, index), count)

        return bounds.streamed_iw_elbo(log_w, tf.shape(x)[0], total, chunk)


def widen(y) -> tuple[tf.Tensor, tf.Tensor]:
    """The logit of images in [0, 1], and log|det| `[B]` in nats."""
    p = ALPHA + (1.0 - 2.0 * ALPHA) * y
    log_p, log_rest = tf.math.log(p), tf.math.log1p(-p)
    slope = math.log(1.0 - 2.0 * ALPHA) - log_p - log_rest
    return log_p - log_rest, tf.reduce_sum(slope, axis=[1, 2, 3])
