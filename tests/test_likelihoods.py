"""Likelihoods against SciPy: one event per row, in nats."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats

import zoo

SHAPE = (2, 3, 1)


def test_bernoulli_of_a_known_image():
    logits = np.log([[3.0, 1 / 3, 1.0]]).astype("float32")  # white: 3/4, 1/4, 1/2
    log_prob = zoo.Bernoulli()(logits).log_prob([[1.0, 0.0, 0.0]])
    np.testing.assert_allclose(log_prob, [np.log(0.75 * 0.75 * 0.5)], rtol=1e-6)


def test_bernoulli_matches_scipy(rng):
    logits = rng.normal(size=(20, *SHAPE)).astype("float32")
    x = rng.integers(0, 2, size=(20, *SHAPE)).astype("float32")
    expected = stats.bernoulli.logpmf(x, special.expit(logits)).sum((-3, -2, -1))
    distribution = zoo.Bernoulli()(logits)
    assert distribution.event_shape == SHAPE
    np.testing.assert_allclose(distribution.log_prob(x), expected, rtol=1e-5)
    np.testing.assert_allclose(distribution.mean(), special.expit(logits), rtol=1e-5)


def test_bernoulli_of_grey_is_the_expected_log_mass(rng):
    logits = rng.normal(size=(4, *SHAPE)).astype("float32")
    grey = rng.uniform(size=(4, *SHAPE)).astype("float32")
    white = special.expit(logits)
    expected = grey * np.log(white) + (1 - grey) * np.log1p(-white)
    np.testing.assert_allclose(
        zoo.Bernoulli()(logits).log_prob(grey), expected.sum((1, 2, 3)), rtol=1e-5
    )


def test_bernoulli_is_finite_at_extreme_logits():
    logits = tf.constant([[200.0, -200.0]])
    log_prob = zoo.Bernoulli()(logits).log_prob
    np.testing.assert_allclose(log_prob([[1.0, 0.0]]), [0.0])
    np.testing.assert_allclose(log_prob([[0.0, 1.0]]), [-400.0])


def test_normal_matches_scipy(rng):
    loc = rng.normal(size=(20, *SHAPE)).astype("float32")
    x = rng.normal(size=(20, *SHAPE)).astype("float32")
    distribution = zoo.Normal(0.3)(loc)
    expected = stats.norm.logpdf(x, loc, 0.3).sum((-3, -2, -1))
    assert distribution.event_shape == SHAPE
    np.testing.assert_allclose(distribution.log_prob(x), expected, rtol=1e-5)
    np.testing.assert_array_equal(distribution.mean(), loc)


@pytest.mark.parametrize("sigma", [0.0, -1.0, float("nan")])
def test_normal_refuses_its_sigma(sigma):
    with pytest.raises(ValueError, match=r"`sigma` must be positive.*Received: sigma="):
        zoo.Normal(sigma)


@pytest.mark.parametrize("head", [zoo.Bernoulli(), zoo.Normal(0.25)])
def test_config_round_trip(head, rng):
    config = keras.saving.serialize_keras_object(head)
    copy = keras.saving.deserialize_keras_object(config)
    params = rng.normal(size=(4, *SHAPE)).astype("float32")
    x = rng.integers(0, 2, size=(4, *SHAPE)).astype("float32")
    np.testing.assert_array_equal(copy(params).log_prob(x), head(params).log_prob(x))


@pytest.mark.parametrize("likelihood", [zoo.Bernoulli, zoo.Normal])
def test_densities_are_float32_under_half_precision(likelihood):
    keras.config.set_dtype_policy("mixed_float16")
    distribution = likelihood()(tf.zeros([1, 300, 300, 1]))
    log_prob = distribution.log_prob(tf.ones([1, 300, 300, 1]))
    assert log_prob.dtype == tf.float32
    assert np.isfinite(log_prob).all()  # 90 000 pixels: more than float16 can hold


def test_supports():
    assert zoo.Bernoulli.support == (0.0, 1.0)
    assert zoo.Normal.support == (-np.inf, np.inf)
