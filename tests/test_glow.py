"""Glow: bijectors against autodiff and NumPy, the whole against quadrature."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

import zoo
from tests.configs import BINARY, GREY, glow
from zoo import internals
from zoo.flows import ActNorm, GlowSteps, ImageCoupling, ImageFlow, InvertibleConv
from zoo.networks.weight_norm import DataInitialised
from zoo.variants.glow import widen

SHAPE = (2, 3, 4)
X = tf.constant(BINARY[:5])


def restless(layer, scale=0.2):
    """Weights off their first values, so that nothing is the identity."""
    rng = np.random.default_rng(0)
    for weight in layer.trainable_weights:
        weight.assign_add(rng.normal(0, scale, weight.shape))
    return layer


def layers():
    return [ActNorm(), InvertibleConv(), ImageCoupling(units=5)]


@pytest.mark.parametrize("layer", layers(), ids=lambda layer: type(layer).__name__)
def test_a_layer_is_undone_and_its_log_det_is_autodiffs(layer, rng):
    layer.build((None, *SHAPE))
    restless(layer)
    y = tf.constant(rng.normal(size=(3, *SHAPE)), tf.float32)
    flow = ImageFlow(layer)
    with tf.GradientTape() as tape:
        tape.watch(y)
        z = flow.forward(y)
    np.testing.assert_allclose(flow.inverse(tf.identity(z)), y, atol=1e-5)
    jacobian = tf.reshape(tape.batch_jacobian(z, y), [3, 24, 24])
    log_det = np.linalg.slogdet(np.float64(jacobian))[1]
    again = ImageFlow(layer).forward_log_det_jacobian(tf.identity(y), event_ndims=3)
    assert np.ptp(log_det) > 0 or not isinstance(layer, ImageCoupling)
    np.testing.assert_allclose(np.broadcast_to(again, [3]), log_det, rtol=1e-4)


def test_a_coupling_of_odd_channels_keeps_the_smaller_part(rng):
    layer = ImageCoupling(units=5)
    layer.build((None, 2, 3, 3))
    y = tf.constant(rng.normal(size=(3, 2, 3, 3)), tf.float32)
    z, log_det = restless(layer).forward(y)
    np.testing.assert_array_equal(z[..., :1], y[..., :1])
    assert np.abs(z[..., 1:] - y[..., 1:]).min() > 0
    assert np.ptp(log_det) > 0
    np.testing.assert_allclose(layer.inverse(z), y, atol=1e-5)
    with pytest.raises(ValueError, match=r"`channels` must be at least 2.*=1"):
        ImageCoupling(units=5).build((None, 2, 3, 1))


def test_the_convolution_is_its_factors_and_starts_as_a_rotation():
    layer = InvertibleConv()
    layer.build((None, 4, 4, 6))
    w = layer.matrix().numpy()
    np.testing.assert_allclose(w @ w.T, np.eye(6), atol=1e-5)
    np.testing.assert_allclose(tf.reduce_sum(layer.log_scale), 0, atol=1e-5)
    w = restless(layer).matrix().numpy()
    log_det = np.linalg.slogdet(np.float64(w))[1]
    np.testing.assert_allclose(tf.reduce_sum(layer.log_scale), log_det, rtol=1e-4)


def test_actnorm_normalises_its_first_batch(rng):
    model = glow(steps=2)
    restless(model, 0.1)
    y = tf.constant(rng.random((64, *model.event_shape)), tf.float32)
    for layer in internals.layers_of(model, DataInitialised):
        layer.initialising = True
    model.forward(y)
    z = widen(y)[0]
    for flow in model.flows:
        z = tf.nn.space_to_depth(z, 2)
        for layer in flow:
            z, _ = layer.forward(z)
            if isinstance(layer, ActNorm):
                assert not layer.initialising
                mean, variance = tf.nn.moments(z, axes=[0, 1, 2])
                np.testing.assert_allclose(mean, 0, atol=1e-3)
                np.testing.assert_allclose(variance, 1, atol=1e-2)
        z, _ = tf.split(z, 2, axis=-1)


def test_it_bends_the_posterior_of_any_vae():
    model = zoo.VAE(
        zoo.networks.dense_encoder((8, 8, 1), (16,)),
        zoo.networks.dense_decoder(8, (8, 8, 1), (16,)),
        8,
        posterior=GlowPosterior(8),
    )
    restless(model, 0.1)
    q = model.posterior_head(model.features(X, {}))
    base = q.distribution.sample(seed=(1, 2))
    with tf.GradientTape() as tape:
        tape.watch(base)
        z = q.bijector.forward(base)
    log_det = np.linalg.slogdet(tape.batch_jacobian(z, base))[1]
    expected = q.distribution.log_prob(base) - log_det
    np.testing.assert_allclose(q.log_prob(z), expected, rtol=1e-4)
    np.testing.assert_allclose(q.log_prob(tf.identity(z)), expected, rtol=1e-4)
    model.compile("adam", jit_compile=False)
    history = model.fit(BINARY, epochs=3, verbose=0).history["loss"]
    assert history[-1] < history[0]


class GlowPosterior(keras.layers.Layer):
    """A diagonal normal, then steps of Glow over its dimensions."""

    def __init__(self, latent_dim):
        super().__init__()
        self.normal = zoo.DiagonalNormal(latent_dim)
        self.steps = GlowSteps((1, 1, latent_dim), steps=2, units=8)
        self.steps.build()

    def call(self, features):
        bijector = self.steps.bijector()
        return tfd.TransformedDistribution(self.normal(features), bijector)


def test_an_image_comes_back_from_its_noise():
    model = glow(steps=2)
    zoo.networks.initialise(model, GREY[:64])
    x = GREY[:5]
    restless(model, 0.1)
    noise = model.encode(x)
    assert [e.shape[1:] for e in noise] == [(2, 2, 8), (4, 4, 2)]
    np.testing.assert_allclose(model.decode(*noise), x, atol=1e-4)
    line = model.interpolate(x[:2], x[2:4], steps=3)
    np.testing.assert_allclose(line[0], x[:2], atol=1e-4)
    np.testing.assert_allclose(line[-1], x[2:4], atol=1e-4)


def test_the_log_density_is_autodiffs(rng):
    model = restless(glow((4, 4, 1)))
    y = tf.constant(rng.random((3, 4, 4, 1)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(y)
        noise, _ = model.forward(y)
        flat = tf.concat([tf.reshape(e, [3, -1]) for e in noise], axis=-1)
    jacobian = tf.reshape(tape.batch_jacobian(flat, y), [3, 16, 16])
    log_det = np.linalg.slogdet(np.float64(jacobian))[1]
    e = np.float64(flat)
    expected = -0.5 * (e**2 + np.log(2 * np.pi)).sum(-1) + log_det
    np.testing.assert_allclose(model.log_density(y), expected, rtol=1e-4)


def test_the_density_of_four_pixels_integrates_to_one():
    """On a coarse grid of a smooth density: that of the pixels' logits."""
    model = restless(glow((2, 2, 1), scales=1), 0.1)
    logits = np.linspace(-9, 9, 25, dtype="float32")
    side = 1 / (1 + np.exp(-logits))
    slopes = np.meshgrid(*[side * (1 - side)] * 4, indexing="ij")
    grid = np.stack(np.meshgrid(*[side] * 4, indexing="ij"), -1).reshape(-1, 2, 2, 1)
    p = np.concatenate([np.exp(model.log_density(g)) for g in np.split(grid, 25)])
    p *= np.prod(slopes, axis=0).ravel() * (logits[1] - logits[0]) ** 4
    np.testing.assert_allclose(p.sum(), 1, atol=2e-3)


def test_masses_of_all_images_sum_to_one():
    """Two levels and four pixels: sixteen images, and what falls outside of [0, 1]."""
    model = restless(glow((2, 2, 1), scales=1, levels=2), 0.1)
    bits = np.indices([2] * 4).reshape(4, 16).T.astype("float32").reshape(16, 2, 2, 1)
    log_p = model.log_prob(bits, num_importance_samples=2000, chunk=500)
    inside = np.random.default_rng(0).random((200_000, 2, 2, 1), "float32")
    volume = np.exp(model.log_density(inside)).mean()
    np.testing.assert_allclose(np.exp(log_p).sum(), volume, rtol=0.02)


@pytest.mark.slow
def test_more_draws_tighten_the_bound():
    model = restless(glow())
    one, many = (
        np.mean(model.log_prob(GREY[:32], num_importance_samples=k)) for k in (1, 64)
    )
    assert one < many
    bits = zoo.bounds.bits_per_dim(many, model.event_shape)
    assert bits > 0


def test_temperature_scales_the_noise():
    warm = restless(glow())
    images = warm.sample(4, seed=1, temperature=0.0)
    np.testing.assert_allclose(images, np.tile(images[:1], (4, 1, 1, 1)), atol=1e-6)
    assert np.std(warm.sample(4, seed=1), axis=0).max() > 0.01
    with pytest.raises(ValueError, match="`temperature` must not be negative"):
        warm.sample(temperature=-1.0)
    each = warm.sample(2, seed=[5, 7])
    np.testing.assert_allclose(each[1], warm.sample(1, seed=[7])[0], atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_shape": (6, 8, 1)}, "2 scales must halve the image"),
        ({"steps": 0}, "`steps` must be at least 1"),
        ({"levels": 1}, "`levels` must be at least 2"),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        glow(**options)
