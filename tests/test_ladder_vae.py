"""The ladder's merge, its ELBO, its warm-up and batch normalisation's statistics."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import stats

import zoo
from tests.configs import BINARY, LATENT_DIM, assert_same_variables, build
from tests.test_hierarchical_vae import (
    THREE_LAYERS,
    TWO_LAYERS,
    check_against_numpy,
    forward,
    inferred,
    moments,
    train,
)
from zoo import internals
from zoo.evaluation.batch_norm import refresh_batch_norm
from zoo.objectives import ELBO
from zoo.variants.ladder_vae import LadderVAE, merge

tfd = tfp.distributions


def test_merge_is_the_normalised_product_of_both_normals(rng):
    loc, other_loc = rng.normal(size=(2, 3))
    scale, other_scale = rng.uniform(0.3, 2.0, size=(2, 3))
    merged = merge(
        tfd.Independent(tfd.Normal(loc, scale), 1),
        tfd.Independent(tfd.Normal(other_loc, other_scale), 1),
    )
    grid = np.linspace(-15, 15, 30_001)[:, None]
    product = stats.norm(loc, scale).pdf(grid)
    product *= stats.norm(other_loc, other_scale).pdf(grid)
    product /= product.sum(0) * (grid[1] - grid[0])
    # The trapezium rule is exact to rounding for a smooth density that ends inside.
    expected = np.log(product[14_000:16_001]).sum(1)
    z = np.repeat(grid[14_000:16_001], 3, axis=1)
    np.testing.assert_allclose(merged.log_prob(z), expected, rtol=1e-9)


def test_a_flat_prior_leaves_the_evidence_alone():
    evidence = tfd.Independent(tfd.Normal([0.3, -2.0], [0.5, 1.5]), 1)
    flat = tfd.Independent(tfd.Normal([9.0, 9.0], 1e6), 1)
    merged = merge(evidence, flat)
    np.testing.assert_allclose(merged.mean(), evidence.mean(), rtol=1e-6)
    np.testing.assert_allclose(merged.stddev(), evidence.stddev(), rtol=1e-6)


def test_a_posterior_that_is_no_diagonal_normal_is_refused():
    flow = zoo.IAFPosterior(LATENT_DIM, units=(4,))
    with pytest.raises(ValueError, match="must be a diagonal normal"):
        build(LadderVAE, posterior=flow, **TWO_LAYERS)


def test_top_down_inference_equals_numpy():
    model = build(LadderVAE, **THREE_LAYERS)
    train(model)

    def posteriors_of(features, draws, priors):
        evidence = [moments(model.posterior_head, features)]
        for network, head in zip(model.bottom_up, model.evidence_heads):
            features = forward(network, features)
            evidence.append(moments(head, features))
        top, *lower = evidence[::-1]
        merged = []
        for (mu_hat, var_hat), (mu_p, var_p) in zip(lower, priors[1:]):
            total = 1 / var_hat + 1 / var_p
            merged.append(((mu_hat / var_hat + mu_p / var_p) / total, 1 / total))
        return [top, *merged]

    check_against_numpy(model, posteriors_of, num_analytic=3)


def test_merged_posterior_is_narrower_than_the_prior():
    model = build(LadderVAE, **THREE_LAYERS)
    _, *lower = inferred(model, BINARY[:4], samples=3)[0].latents
    for latent in lower:
        assert (latent.posterior.variance() < latent.prior.variance()).numpy().all()


def test_warm_up_raises_the_weight_of_the_rate():
    steps = 16
    objective = ELBO(beta=zoo.schedules.Linear(0.0, 1.0, steps=steps))
    model = build(LadderVAE, **THREE_LAYERS, objective=objective)
    draw, _ = inferred(model, BINARY[:4])
    full = sum(np.mean(zoo.bounds.rate(latent)) for latent in draw.latents)
    for step, beta in ((0, 0.0), (steps // 4, 0.25), (steps, 1.0), (2 * steps, 1.0)):
        model.step.assign(step)
        weighted = model.terms(draw, tf.zeros(4))["beta_rate"]
        np.testing.assert_allclose(weighted, beta * full, rtol=1e-6)
    model.step.assign(0)
    train(model)
    assert model.step.numpy() == 4


def test_refreshed_statistics_are_the_populations():
    model = build(LadderVAE, **THREE_LAYERS)
    train(model)
    batches = tf.data.Dataset.from_tensor_slices(BINARY).batch(96)  # 96, 96, 64
    refresh_batch_norm(model, batches)
    features = forward(model.encoder, np.float64(BINARY))
    for linear in (model.posterior_head.params, model.bottom_up[0].layers[0]):
        dense, norm = linear.layers
        inputs = forward(dense, features)
        np.testing.assert_allclose(norm.moving_mean, inputs.mean(0), rtol=1e-4)
        np.testing.assert_allclose(norm.moving_variance, inputs.var(0), rtol=1e-4)


@pytest.mark.slow
def test_refreshing_changes_nothing_else_and_repeats():
    model = build(LadderVAE, **TWO_LAYERS)
    train(model)
    norms = [
        layer
        for layer in internals.layers_of(model)
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    moving = {id(v) for norm in norms for v in norm.non_trainable_variables}
    others = {v.path: v.numpy() for v in model.variables if id(v) not in moving}
    refresh_batch_norm(model, [BINARY[:128], BINARY[128:]])
    for variable in model.variables:
        if id(variable) not in moving:
            np.testing.assert_array_equal(variable, others[variable.path])
    assert {norm.momentum for norm in norms} == {0.99}
    before = [norm.moving_mean.numpy() for norm in norms]
    refresh_batch_norm(model, [BINARY[:128], BINARY[128:]])
    for norm, mean in zip(norms, before):
        np.testing.assert_array_equal(norm.moving_mean, mean)
    refresh_batch_norm(model, [{"x": BINARY[:128]}, {"x": BINARY[128:]}])
    for norm, mean in zip(norms, before):
        np.testing.assert_array_equal(norm.moving_mean, mean)


def test_refresh_refuses_what_it_cannot_do():
    with pytest.raises(ValueError, match="Received: VAE without any"):
        refresh_batch_norm(build(), [BINARY])
    model = build(LadderVAE, **THREE_LAYERS)
    copy = build(LadderVAE, **THREE_LAYERS)
    with pytest.raises(ValueError, match=r"must not be empty. Received: \[\]"):
        refresh_batch_norm(model, [])
    assert_same_variables(model, copy)


def test_bfloat16_networks_leave_the_hierarchy_in_float32():
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = build(LadderVAE, **THREE_LAYERS)
    assert np.isfinite(train(model)["loss"]).all()
    latents = inferred(model, BINARY[:2])[0].latents
    assert {latent.posterior.dtype for latent in latents} == {tf.float32}
    assert model.bottom_up[0](tf.zeros((1, 16))).dtype == tf.float32
