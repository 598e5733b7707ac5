"""Likelihoods: densities that integrate and masses that sum to one, and their means."""

import json
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import integrate, stats

from tests import configs
from zoo import likelihoods
from zoo.likelihoods.normal import MIN_SIGMA

SEED = (1, 2)


def of_one_value(likelihood, params):
    """p(x|z) of a single value, for parameters `[rows, P]`."""
    return likelihood(tf.constant(params, tf.float32))


def levels_of(count):
    return np.linspace(0.0, 1.0, count, dtype="float32")[:, None, None]


def test_parameters_of_a_channel_lie_together():
    likelihood = likelihoods.Normal("per_pixel")
    p = likelihood(tf.reshape([1.0, 0.0, 2.0, 1.0], (1, 1, 1, 4)))
    np.testing.assert_allclose(np.ravel(p.mean()), [1.0, 2.0])
    np.testing.assert_allclose(np.ravel(p.stddev()), np.exp([0.0, 1.0]) + MIN_SIGMA)
    assert p.event_shape == (1, 1, 2)


@pytest.mark.parametrize(
    "likelihood",
    [
        likelihoods.ContinuousBernoulli(),
        likelihoods.Normal("per_image"),
        likelihoods.Normal("per_pixel"),
        likelihoods.Categorical(levels=5),
        likelihoods.DiscretisedLogistic(levels=5, components=2),
    ],
    ids=lambda likelihood: type(likelihood).__name__,
)
def test_one_event_per_image_and_its_config(likelihood, rng):
    shape = (6, 4, 4, 2)
    params = (*shape[:-1], shape[-1] * likelihood.params_per_channel)
    params = tf.constant(rng.normal(size=params), tf.float32)
    p = likelihood(params)
    x = rng.integers(0, 5, shape).astype("float32") / 4
    assert p.log_prob(x).shape == (6,)
    assert p.event_shape == shape[1:]
    assert p.mean().shape == shape
    assert p.sample(5, seed=SEED).shape == (5, *shape)
    np.testing.assert_array_equal(p.sample(seed=SEED), p.sample(seed=SEED))
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(likelihood)))
    copy = keras.saving.deserialize_keras_object(config)
    np.testing.assert_array_equal(copy(params).log_prob(x), p.log_prob(x))


# Continuous Bernoulli.


@pytest.mark.parametrize("logit", [-80.0, -3.0, -1e-3, 0.0, 1e-6, 0.4, 12.0, 300.0])
def test_continuous_bernoulli_integrates_to_one(logit):
    # Gauss-Legendre in pieces that shrink towards both edges, where the mass may be.
    edges = np.concatenate([[0.0], np.geomspace(1e-6, 0.5, 40)])
    edges = np.concatenate([edges, 1.0 - edges[-2::-1]])
    nodes, weights = np.polynomial.legendre.leggauss(8)
    half = np.diff(edges)[:, None] / 2
    x = (edges[:-1, None] + half * (1 + nodes)).ravel()
    weights = (half * weights).ravel()
    p = of_one_value(likelihoods.ContinuousBernoulli(), [[logit]])
    density = np.exp(p.log_prob(x[:, None].astype("float32")).numpy().astype("f8"))
    # float32 rounds x near 1 by 6e-8, and log p by |logit| times that.
    assert weights @ density == pytest.approx(1.0, abs=2e-5)
    assert weights @ (density * x) == pytest.approx(p.mean().numpy().item(), abs=2e-5)


def test_continuous_bernoulli_is_its_formula():
    logit = np.array([-9.0, -1.5, -0.02, 0.02, 0.7, 5.0])
    p = of_one_value(likelihoods.ContinuousBernoulli(), logit[:, None])
    for x in (0.0, 0.3, 1.0):
        log_c = np.log(logit / np.tanh(logit / 2))
        log_p = x * logit - np.logaddexp(0.0, logit) + log_c
        np.testing.assert_allclose(p.log_prob([x]), log_p, rtol=1e-5, atol=1e-6)
    mean = 1 / (1 - np.exp(-logit)) - 1 / logit
    np.testing.assert_allclose(p.mean()[:, 0], mean, rtol=1e-5)


def test_continuous_bernoulli_at_the_centre_is_uniform():
    logit = tf.Variable([[0.0], [1e-7], [-1e-4]])
    with tf.GradientTape() as tape:
        log_p = likelihoods.ContinuousBernoulli()(logit).log_prob([0.25])
    np.testing.assert_allclose(log_p, 0.0, atol=1e-4)
    # d log p / d logit = x - mean.
    np.testing.assert_allclose(tape.gradient(log_p, logit), -0.25, atol=1e-4)


def test_continuous_bernoulli_draws_follow_its_mean():
    p = of_one_value(
        likelihoods.ContinuousBernoulli(), [[-200.0], [-2.0], [0.0], [9.0]]
    )
    draws = p.sample(20_000, seed=SEED).numpy()
    assert 0.0 <= draws.min() <= draws.max() <= 1.0
    # Standard deviations are below 0.3, so five standard errors below 0.011.
    np.testing.assert_allclose(draws.mean(0), p.mean(), atol=0.011)


# Masses on a grid.

EXTREMES = (-1e4, -30.0, -3.0, 0.0, 0.3, 3.0, 30.0, 1e4)


def logistic_params():
    """Every pair of location and log scale, as mixtures of it and a plain one."""
    grid = np.stack(np.meshgrid(EXTREMES, EXTREMES), axis=-1).reshape(-1, 2)
    loc = np.stack([grid[:, 0], np.full(len(grid), 0.2)], axis=-1)
    log_scale = np.stack([grid[:, 1], np.full(len(grid), -2.0)], axis=-1)
    logits = np.tile([0.5, 0.0], (len(grid), 1))
    return np.concatenate([logits, loc, log_scale], axis=-1)


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_logistic_masses_sum_to_one(levels):
    likelihood = likelihoods.DiscretisedLogistic(levels, components=2)
    p = of_one_value(likelihood, logistic_params())
    mass = np.exp(p.log_prob(levels_of(levels)).numpy().astype("float64"))
    np.testing.assert_allclose(mass.sum(0), 1.0, rtol=0, atol=1e-5)


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_softmax_masses_sum_to_one(levels, rng):
    logits = 50 * rng.normal(size=(20, levels))
    logits[0, 0], logits[1, -1] = 1e4, -1e4
    p = of_one_value(likelihoods.Categorical(levels), logits)
    mass = np.exp(p.log_prob(levels_of(levels)).numpy().astype("float64"))
    np.testing.assert_allclose(mass.sum(0), 1.0, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("likelihood", "params"),
    [
        (likelihoods.DiscretisedLogistic(256, 2), logistic_params()),
        (likelihoods.Categorical(4), [[1e4, 0, -1e4, 3], [0, 0, 0, 0]]),
        (likelihoods.ContinuousBernoulli(), np.array(EXTREMES)[:, None]),
        (likelihoods.Normal("per_pixel"), [[1e3, -50.0], [0.0, 30.0], [0.5, 0.0]]),
        (likelihoods.Normal("per_image"), [[1e3, -50.0], [0.0, 30.0], [0.5, 0.0]]),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("x", [0.0, 0.5, 1.0])
def test_gradients_at_extremes_are_finite(likelihood, params, x):
    params = tf.Variable(np.asarray(params, "float32"))
    with tf.GradientTape() as tape:
        log_p = likelihood(tf.convert_to_tensor(params)).log_prob([x])
    assert np.isfinite(log_p).all()
    assert np.isfinite(tape.gradient(log_p, params)).all()


def test_logistic_mass_is_scipys():
    loc, log_scale, weight = np.array([-0.6, 0.4]), np.array([-1.0, -3.0]), 0.3
    params = [[math.log(weight), math.log(1 - weight), *loc, *log_scale]]
    p = of_one_value(likelihoods.DiscretisedLogistic(256, 2), params)
    limit = math.log(256) + 2
    scale = np.exp(limit * np.tanh(log_scale / limit))
    edges = (np.arange(257) - 0.5) * 2 / 255 - 1
    edges[0], edges[-1] = -np.inf, np.inf
    cdf = stats.logistic.cdf(edges[:, None], loc, scale)
    mass = np.diff(cdf, axis=0) @ [weight, 1 - weight]
    found = np.exp(p.log_prob(levels_of(256)))[:, 0]
    np.testing.assert_allclose(found, mass, rtol=1e-4, atol=1e-9)


def test_values_are_rounded_to_their_level():
    for likelihood in (
        likelihoods.DiscretisedLogistic(256, 1),
        likelihoods.Categorical(256),
    ):
        params = np.linspace(-1.0, 1.0, likelihood.params_per_channel)[None]
        p = of_one_value(likelihood, params)
        x = np.array([[100.0 / 255.0]], "float32")
        np.testing.assert_array_equal(p.log_prob(x), p.log_prob(x + 1e-3))
        np.testing.assert_array_equal(p.log_prob(x), p.log_prob(x - 1e-3))
        assert p.log_prob(x) != p.log_prob(x + 3e-3)


def test_softmax_is_scipys(rng):
    logits = rng.normal(size=(3, 8))
    p = of_one_value(likelihoods.Categorical(8), logits)
    mass = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    found = np.exp(p.log_prob(levels_of(8)))
    np.testing.assert_allclose(found, mass.T, rtol=1e-5)
    np.testing.assert_allclose(p.mean()[:, 0], mass @ np.arange(8) / 7, rtol=1e-5)


def test_logistic_mean_is_within_half_a_level():
    levels = 256
    p = of_one_value(likelihoods.DiscretisedLogistic(levels, 2), logistic_params())
    grid = levels_of(levels)
    mass = np.exp(p.log_prob(grid).numpy().astype("float64"))
    exact = (mass * grid[..., 0]).sum(0)
    assert np.abs(p.mean()[:, 0] - exact).max() < 0.5 / (levels - 1)


def test_logistic_mean_is_exact_where_scales_exceed_a_level():
    levels = 256
    loc, log_scale = np.meshgrid([-1.5, -0.9, 0.0, 0.31, 1.0], [-4.8, -3.0, 0.0, 2.0])
    params = np.stack([0 * loc, loc, log_scale], axis=-1).reshape(-1, 3)
    p = of_one_value(likelihoods.DiscretisedLogistic(levels, 1), params)
    grid = levels_of(levels)
    mass = np.exp(p.log_prob(grid).numpy().astype("float64"))
    exact = (mass * grid[..., 0]).sum(0)
    # The midpoint rule's error at one level per scale is 0.005 levels (2e-5).
    np.testing.assert_allclose(p.mean()[:, 0], exact, rtol=0, atol=4e-5)


def test_draws_follow_their_mass():
    for likelihood, params in (
        (likelihoods.DiscretisedLogistic(6, 2), [[0.5, 0.0, -1.2, 0.6, -0.5, -2.0]]),
        (likelihoods.Categorical(6), [[0.1, -1.0, 0.5, 2.0, 0.0, 0.3]]),
    ):
        p = of_one_value(likelihood, params)
        draws = p.sample(20_000, seed=SEED).numpy().ravel()
        grid = levels_of(6)
        counts = [(np.abs(draws - level) < 1e-6).sum() for level in grid.ravel()]
        assert sum(counts) == len(draws)  # nothing off the grid
        mass = np.exp(p.log_prob(grid).numpy().astype("float64")).ravel()
        # A right sampler fails at 1e-3 once in a thousand seeds.
        assert stats.chisquare(counts, len(draws) * mass / mass.sum()).pvalue > 1e-3


# Normal: what of sigma the head knows by itself.


@pytest.mark.parametrize("sigma", [0.3, "learned", "per_image", "per_pixel"])
def test_normal_integrates_to_one(sigma):
    likelihood = likelihoods.Normal(sigma)
    p = of_one_value(likelihood, [[0.2, -1.0][: likelihood.params_per_channel]])
    mass, _ = integrate.quad(
        lambda x: math.exp(p.log_prob([[x]]).numpy().item()), -12, 12, points=[0.2]
    )
    assert mass == pytest.approx(1.0, abs=1e-5)
    scale = {0.3: 0.3, "learned": 1.0 + MIN_SIGMA}
    expected = scale.get(sigma, math.exp(-1.0) + MIN_SIGMA)
    assert p.stddev().numpy().item() == pytest.approx(expected, rel=1e-6)


def test_sigma_per_image_is_one_for_each_image(rng):
    params = tf.constant(rng.normal(size=(15, 4, 4, 4)), tf.float32)
    sigma = likelihoods.Normal("per_image")(params).stddev().numpy()
    assert sigma.shape == (15, 4, 4, 2)
    assert np.ptp(sigma, axis=(1, 2, 3)).max() < 1e-6
    log_sigma = params.numpy()[..., 1::2].mean(axis=(1, 2, 3))
    np.testing.assert_allclose(
        sigma[:, 0, 0, 0], np.exp(log_sigma) + MIN_SIGMA, rtol=1e-5
    )


def test_soft_floor_is_the_softplus_of_the_paper():
    log_sigma = np.array([-20.0, -6.0, -1.0, 0.0])
    p = of_one_value(
        likelihoods.Normal("per_pixel"), np.stack([0 * log_sigma, log_sigma], -1)
    )
    expected = np.logaddexp(0.0, log_sigma + 6.0) - 6.0
    np.testing.assert_allclose(np.log(p.stddev()[:, 0]), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_a_vae_takes_grey_levels():
    """16 + 1 levels of real digits: a mass, so that its bits are below log2(17)."""
    for likelihood in (
        likelihoods.DiscretisedLogistic(17, 2),
        likelihoods.Categorical(17),
    ):
        vae = configs.build(likelihood=likelihood)
        vae.compile(configs.optimizer(), jit_compile=False)
        history = vae.fit(configs.GREY, batch_size=32, epochs=8, verbose=0).history
        assert history["loss"][-1] < 64 * math.log(17)
        assert 0.0 <= np.min(vae.sample(4)) <= np.max(vae.sample(4)) <= 1.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: likelihoods.Categorical(1), "`levels` must be at least 2"),
        (lambda: likelihoods.DiscretisedLogistic(1), "`levels` must be at least 2"),
        (lambda: likelihoods.DiscretisedLogistic(8, 0), "`components` must be"),
        (lambda: likelihoods.Normal(0.0), "`sigma` must be positive"),
        (lambda: likelihoods.Normal("free"), "`sigma` must be positive"),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=f"{message}.*Received: "):
        make()
