"""Priors."""

import keras
import numpy as np
import pytest
from scipy import stats

import zoo
from zoo.priors import Prior


def test_standard_normal_matches_scipy(rng, vae):
    z = rng.normal(size=(5, 4, 3)).astype("float32")
    prior = zoo.StandardNormal(3).distribution(vae)
    assert prior.event_shape == (3,)
    expected = stats.norm.logpdf(z).sum(-1)
    np.testing.assert_allclose(prior.log_prob(z), expected, rtol=1e-5)


def test_samples_are_standard_normal(vae):
    z = vae.prior().sample(20_000, seed=(0, 1))
    # 4 standard errors of a mean and, about, of a standard deviation
    np.testing.assert_allclose(np.mean(z, axis=0), 0.0, atol=4 / np.sqrt(20_000))
    np.testing.assert_allclose(np.std(z, axis=0), 1.0, atol=4 / np.sqrt(20_000))


def test_config_round_trip():
    config = keras.saving.serialize_keras_object(zoo.StandardNormal(7))
    assert keras.saving.deserialize_keras_object(config).latent_dim == 7


def test_a_prior_must_say_its_distribution(vae):
    with pytest.raises(NotImplementedError):
        Prior(3).distribution(vae)
