"""Means and standard deviations of posteriors, and which posteriors have none."""

import numpy as np
import pytest

import zoo
from tests import configs
from zoo.heads.diagonal_normal import diagonal_normal
from zoo.variants.ladder_vae import merge, normal


@pytest.mark.parametrize(
    ("orthogonal", "head"), [(True, "exact"), (False, "full"), (True, "wrong")]
)
def test_they_are_those_of_the_exact_posterior(orthogonal, head):
    exact = configs.LinearGaussian.make(orthogonal)
    x, (kernel, offset, cov) = exact.data(7), exact.posterior()
    ((mean, stddev),) = exact.model(head).moments(x)
    scale = np.sqrt(np.diag(cov))
    if head == "wrong":  # the prior, widened
        kernel, offset, scale = 0 * kernel, 0 * offset, 1.1 + 0 * scale
    np.testing.assert_allclose(mean, x @ kernel + offset, atol=1e-5)
    np.testing.assert_allclose(stddev, np.tile(scale, (7, 1)), rtol=1e-5)


def test_a_layers_is_given_the_mean_of_the_layer_above(digits):
    model = configs.ladder(zoo.LadderVAE)
    top, bottom = model.features(digits, {})
    prior = model.conditionals[0](top[0])
    below = diagonal_normal(merge(normal(*bottom), prior))
    (upper, lower), codes = model.moments(digits), model.encode(digits)
    np.testing.assert_allclose(upper, top, rtol=1e-5)
    np.testing.assert_allclose(lower, (below.loc, below.scale), rtol=1e-4)
    for code, (mean, _) in zip(codes, (upper, lower), strict=True):
        np.testing.assert_array_equal(code, mean)


def test_maps_have_theirs_at_every_place(digits):
    model = configs.biva()
    for mean, stddev in model.moments(digits):
        assert stddev.shape == mean.shape
        assert (stddev.numpy() > 0).all()


@pytest.mark.parametrize(
    "name", ["autoencoder", "iaf_vae_gated", "vq_vae_2", "glow", "pixelcnn"]
)
def test_points_flows_and_exact_models_have_none(name):
    row = configs.CONFIGS[name]
    model, (x, given) = row.build(), row.parts(3)
    (*moments,) = model.moments(x, given)
    assert [stddev for _, stddev in moments] == [None] * len(moments)
    for code, (mean, _) in zip(model.encode(x, given), moments, strict=True):
        np.testing.assert_array_equal(code, mean)


def test_an_unknown_label_is_guessed(digits):
    model = configs.semi_supervised_vae()
    ((mean, stddev),) = model.moments(digits)
    guess = np.argmax(model.classifier(digits), axis=-1).astype("int32")
    ((known_mean, known_stddev),) = model.moments(digits, {"label": guess})
    np.testing.assert_array_equal(mean, known_mean)
    np.testing.assert_array_equal(stddev, known_stddev)
