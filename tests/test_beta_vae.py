"""beta-VAE and its two descendants: each objective against hand values."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import special, stats

import zoo
from tests import configs
from zoo import bounds
from zoo.bounds import Latent
from zoo.draws import Sample, seed_words
from zoo.objectives import decompose

tfd = tfp.distributions


def walked(model, x, samples=1):
    """The record of one walk, and what the likelihood sees."""
    draw = Sample(seed_words(0), samples * len(x), samples)
    return draw, model.walk(draw, model.features(x, {}), {})


def terms(model, x):
    draw, z = walked(model, x)
    return model.terms(draw, model.likelihood(z, {}).log_prob(x)), draw.latents


def trained(model, x):
    model.compile(configs.optimizer(), jit_compile=False)
    model.fit(x, batch_size=32, epochs=2, verbose=0, shuffle=False)
    return model


@pytest.mark.slow
def test_beta_one_is_the_vae(digits):
    vae = trained(configs.build(), digits)
    beta = trained(configs.build(zoo.BetaVAE, beta=1.0), digits)
    configs.assert_same_variables(vae, beta)


@pytest.mark.slow
def test_a_larger_beta_buys_a_smaller_rate():
    rates = []
    for beta in (0.1, 10.0):
        model = configs.build(zoo.BetaVAE, beta=beta)
        model.compile(configs.optimizer(), jit_compile=False)
        model.fit(configs.BINARY, epochs=10, batch_size=32, verbose=0)
        rates.append(model.evaluate(configs.BINARY, verbose=0, return_dict=True))
    assert rates[0]["rate"] > rates[1]["rate"]


def test_capacity_is_the_distance_from_c(digits):
    model = configs.build(zoo.CapacityVAE, gamma=3.0, capacity=2.0)
    found, latents = terms(model, digits)
    rate = float(tf.reduce_mean(tf.add_n([bounds.rate(z) for z in latents])))
    by_hand = pytest.approx(3.0 * abs(rate - 2.0), rel=1e-6)
    assert float(found["gamma_capacity_gap"]) == by_hand


@pytest.mark.slow
def test_capacity_is_reached():
    model = configs.build(zoo.CapacityVAE, gamma=30.0, capacity=4.0)
    model.compile(configs.optimizer(), jit_compile=False)
    model.fit(configs.BINARY, epochs=30, batch_size=32, verbose=0)
    rate = model.evaluate(configs.BINARY, verbose=0, return_dict=True)["rate"]
    assert rate == pytest.approx(4.0, abs=0.5)  # gamma holds it within noise


def test_the_parts_sum_to_the_rate(digits):
    model = configs.build(zoo.BetaTCVAE, dataset_size=1000)
    (latent,) = walked(model, digits, samples=2)[0].latents
    total = tf.add_n(decompose(latent, 1000))
    rate = latent.log_q - latent.prior.log_prob(latent.z)
    np.testing.assert_allclose(total, rate, atol=1e-4)  # float32 sums of tens


def test_all_weights_one_is_the_monte_carlo_vae(digits):
    model = configs.build(zoo.BetaTCVAE, dataset_size=1000, beta=1.0)
    found, latents = terms(model, digits)
    rate = latents[0].log_q - latents[0].prior.log_prob(latents[0].z)
    total = found["alpha_mutual_information"] + found["beta_total_correlation"]
    total += found["gamma_dimension_kl"]
    np.testing.assert_allclose(total, rate, atol=1e-4)


def test_the_parts_against_scipy():
    rng = np.random.default_rng(0)
    loc, scale = rng.normal(size=(5, 2)), rng.uniform(0.3, 1.0, size=(5, 2))
    z = rng.normal(size=(5, 2))
    posterior = tfd.Independent(tfd.Normal(np.float32(loc), np.float32(scale)), 1)
    prior = tfd.Independent(tfd.Normal(tf.zeros(2), 1.0), 1)
    z32 = tf.constant(z, tf.float32)
    latent = Latent(z32, posterior.log_prob(z32), posterior, prior)
    found = decompose(latent, dataset_size=1000)
    pairs = stats.norm.logpdf(z[:, None], loc, scale)  # [B, B, D]
    log_q = np.diagonal(pairs.sum(-1))
    log_mixture = special.logsumexp(pairs.sum(-1), axis=1) - np.log(5 * 1000)
    log_marginals = (special.logsumexp(pairs, axis=1) - np.log(5 * 1000)).sum(-1)
    log_prior = stats.norm.logpdf(z).sum(-1)
    by_hand = (
        log_q - log_mixture, log_mixture - log_marginals, log_marginals - log_prior
    )  # fmt: skip
    for part, expected in zip(found, by_hand):
        np.testing.assert_allclose(part, expected, atol=1e-5)


def test_each_part_has_its_own_weight(digits):
    def build(**weights):
        return configs.build(zoo.BetaTCVAE, dataset_size=64, **weights)

    one, _ = terms(build(beta=1.0), digits)
    weighted, _ = terms(build(alpha=2.0, beta=5.0, gamma=3.0), digits)
    for name, factor in (
        ("distortion", 1.0), ("alpha_mutual_information", 2.0),
        ("beta_total_correlation", 5.0), ("gamma_dimension_kl", 3.0),
    ):  # fmt: skip
        np.testing.assert_allclose(weighted[name], factor * one[name], rtol=1e-5)


@pytest.mark.parametrize(
    "jit_compile", [False, pytest.param(True, marks=pytest.mark.slow)]
)
def test_beta_may_change_between_two_fits(digits, jit_compile):
    model = configs.build(zoo.BetaVAE, beta=1.0)
    model.compile(configs.optimizer(), jit_compile=jit_compile)
    for beta in (1.0, 10.0):
        model.beta = beta
        logs = model.fit(digits, validation_data=digits, verbose=0).history
        for of in ("", "val_"):
            ratio = logs[f"{of}beta_rate"][0] / logs[f"{of}rate"][0]
            assert ratio == pytest.approx(beta, rel=1e-5)
    assert model.get_config()["beta"] == model.objective.beta == 10.0
