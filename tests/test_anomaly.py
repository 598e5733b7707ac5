"""The bound whose lower latents come from their priors; how rare an image is."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

import zoo
from tests.configs import (
    BINARY,
    LABELS,
    LinearGaussian,
    biva,
    build,
    conditional_vae,
    semi_supervised_vae,
)
from tests.small_models import RealNVP, SpatialVAE
from tests.test_hierarchical_vae import BOTH, THREE_LAYERS, LinearToy
from zoo import rarity
from zoo.draws import UpperSample, seed_words
from zoo.evaluation import likelihood_ratio, log_prob_above
from zoo.heads.diagonal_normal import diagonal_normal
from zoo.variants.hierarchical_vae import HierarchicalVAE
from zoo.variants.ladder_vae import LadderVAE

FEW = {"num_importance_samples": 5, "chunk": 3, "seed": 4, "batch_size": 4}


def above_by_hand(toy, model):
    """L^{>1} of the toy in closed form, `[N]`.

    z_2 is N(m, v) with m itself normal in bottom-up inference, where it depends on what
    was taken for z_1; all of the rest is linear and normal.
    """
    first = diagonal_normal(model.posterior(model.features(toy.x, {})))
    if isinstance(model, HierarchicalVAE):
        (upwards,) = model.bottom_up
        at_axes = upwards(np.concatenate([np.zeros([1, 3]), np.eye(3)]))
        offset, *means = np.float64(at_axes.mean())
        kernel, v = means - offset, np.float64(at_axes.variance())[0]
        m = np.float64(first.mean()) @ kernel + offset
        covs = np.einsum("ai,na,aj->nij", kernel, np.float64(first.variance()), kernel)
    else:
        m, v = np.float64(first.mean()), np.float64(first.variance())[0]
        covs = np.zeros([len(m), 2, 2])
    rate = (v - np.log(v) - 1).sum() + (m**2).sum(1) + np.trace(covs, axis1=1, axis2=2)
    covs = toy.A.T @ (covs + np.diag(v)) @ toy.A + toy.S**2 * np.eye(3)
    error = ((toy.x - (m @ toy.A + toy.offset) @ toy.weights - toy.bias) ** 2).sum(1)
    error += toy.W**2 * np.trace(covs, axis1=1, axis2=2)
    size = toy.DATA_DIM * np.log(2 * np.pi * toy.SIGMA**2)
    return -(size + error / toy.SIGMA**2) / 2 - rate / 2


@BOTH
def test_the_bound_is_that_of_the_linear_model(cls):
    toy, repeats = LinearToy(), 2000
    model = toy.model(cls, widen=1.5)
    x = np.repeat(toy.x, repeats, axis=0)
    options = {"num_importance_samples": 1, "batch_size": len(x)}
    bounds = np.float64(log_prob_above(model, x, 1, **options)).reshape(-1, repeats)
    error = bounds.std(1) / np.sqrt(repeats)
    assert (error < 0.5).all()
    assert (abs(bounds.mean(1) - above_by_hand(toy, model)) < 5 * error).all()


@BOTH
@pytest.mark.parametrize("k", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_it_rises_to_the_exact_value(cls, k):
    toy = LinearToy()
    model, exact = toy.model(cls, widen=1.5), toy.marginal.logpdf(toy.x)
    options = {"num_importance_samples": 200_000, "chunk": 20_000}
    many = log_prob_above(model, toy.x, k, **options)
    x = np.repeat(toy.x, 200, axis=0)
    few = log_prob_above(model, x, k, num_importance_samples=5, batch_size=len(x))
    assert few.mean() < exact.mean() - 0.05
    # The fewest effective samples are some hundred: 5 / sqrt(600).
    np.testing.assert_allclose(many, exact, atol=0.2)


MODELS = {
    "ladder": lambda: build(LadderVAE, **THREE_LAYERS),
    "hierarchical": lambda: build(HierarchicalVAE, **THREE_LAYERS),
    "biva": biva,
    "spatial": SpatialVAE,
    "vae": build,
}


@pytest.fixture
def eager():
    """Tracing would take longest."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.usefixtures("eager")
def test_without_lower_latents_it_is_the_plain_bound(name):
    model, x = MODELS[name](), BINARY[:6]
    plain = zoo.evaluation.log_prob(model, x, **FEW, verbose=0)
    # Sums in another order, float32.
    np.testing.assert_allclose(log_prob_above(model, x, 0, **FEW), plain, rtol=1e-5)
    np.testing.assert_array_equal(likelihood_ratio(model, x, 0, **FEW), np.zeros(6))
    above = log_prob_above(model, x, 1, **FEW)
    ratio = likelihood_ratio(model, x, 1, **FEW)
    assert ratio.dtype == above.dtype == np.float32
    np.testing.assert_allclose(ratio, plain - above, rtol=1e-3, atol=1e-3)
    assert not np.allclose(ratio, 0, atol=1e-3)


@pytest.mark.parametrize("name", MODELS)
def test_the_lowest_latents_come_from_their_priors(name):
    model, x = MODELS[name](), tf.constant(BINARY[:2])
    layers = len(model.latent_fields)
    for k in range(layers + 1):
        draw = UpperSample(seed_words(0), 3 * 2, 3, layers - k)
        model.walk(draw, model.features(x, {}), {})
        inferred = [latent.posterior is not None for latent in draw.latents]
        assert inferred == [True] * (layers - k) + [False] * k
        for latent in draw.latents[layers - k :]:
            log_p = zoo.bounds.log_prob(latent.prior, latent.z)
            np.testing.assert_allclose(latent.log_q, log_p, rtol=1e-5, atol=1e-5)


def test_conditions_are_handed_on():
    model, given = conditional_vae(), {"label": LABELS[:6]}
    other = {"label": (LABELS[:6] + 1) % 10}
    one, two = (log_prob_above(model, BINARY[:6], 1, g, **FEW) for g in (given, other))
    assert one.shape == (6,)
    assert not np.allclose(one, two)


def test_what_it_cannot_do_is_refused():
    x = BINARY[:2]
    for k in (-1, 2):
        with pytest.raises(ValueError, match=f"Received: k={k}, 1 latents"):
            likelihood_ratio(build(), x, k)
    with pytest.raises(ValueError, match=r"from 0 to .* Received: k=0\.5"):
        log_prob_above(build(), x, 0.5)
    with pytest.raises(ValueError, match="must have a prior that its lower latents"):
        log_prob_above(build(zoo.Autoencoder), x, 1)
    with pytest.raises(ValueError, match=r"`label` must lie in \[0, 9\]"):
        log_prob_above(semi_supervised_vae(), x, 0)
    with pytest.raises(ValueError, match=r"`label` must lie in \[0, 9\]"):
        zoo.evaluation.fit_mixture_prior(semi_supervised_vae(), x, 1)
    with pytest.raises(ValueError, match="0 latents"):
        log_prob_above(RealNVP(couplings=2), x, 0)
    with pytest.raises(ValueError, match="`num_importance_samples` must be at least 1"):
        log_prob_above(build(), x, 1, num_importance_samples=0)
    with pytest.raises(ValueError, match="finite"):
        log_prob_above(build(), np.nan * x, 1)


def test_scores_are_shares_of_the_exact_distribution():
    """-log p(x) of a normal is a constant and half a chi-squared variable.

    The posterior is exact: so is every importance weight.
    """
    exact = LinearGaussian.make(orthogonal=True)
    model, x = exact.model(), exact.data(1000)
    table = zoo.evaluation.rarity(model, x, num_importance_samples=2)
    assert (table["images"], table["num_importance_samples"]) == (1000, 2)
    new = exact.marginal.rvs(200, random_state=2).astype("float32")
    least = exact.marginal.logpdf(exact.marginal.mean)
    nats = least - exact.marginal.logpdf(new)
    share = stats.chi2(new.shape[-1]).cdf(2 * nats)
    found = zoo.evaluation.anomaly_score(model, new, table)
    # Three standard errors of a share of 1000, and a hundredth between quantiles.
    np.testing.assert_allclose(found, share, atol=1.5 / np.sqrt(1000) + 0.01)


def test_a_tables_own_images_have_their_ranks():
    x, model = BINARY[:200], build()
    table = zoo.evaluation.rarity(model, x, batch_size=60)
    score = zoo.evaluation.anomaly_score(model, x, table, batch_size=33)
    assert (score.min(), score.max()) == pytest.approx((0, 1), abs=1e-3)
    ranks = np.argsort(np.argsort(score)) / 199
    np.testing.assert_allclose(score, ranks, atol=0.01)  # from quantile to quantile


def test_scores_are_linear_between_quantiles_and_no_more_than_one():
    quantiles = np.linspace(50.0, 150.0, 101) ** 2 / 100
    nats = np.float32([0, 25, 25.5, 100, 101.3, 224, 225, 1000, np.inf])
    found = rarity.score(nats, {"quantiles": quantiles.tolist()})
    want = np.interp(nats, quantiles, np.linspace(0, 1, 101))
    np.testing.assert_allclose(found, want, atol=1e-5)
    steps = {"quantiles": [1.0] * 40 + [2.0] * 61}  # many images are equally likely
    found = rarity.score(np.float32([1, 1.5, 2, 2.1]), steps)
    np.testing.assert_allclose(found, [0, 39.5 / 100, 40 / 100, 1], atol=1e-6)


def test_an_exact_model_needs_no_draws():
    model, x = RealNVP(), BINARY[:50]
    table = zoo.evaluation.rarity(model, x)
    assert table["num_importance_samples"] is None
    np.testing.assert_allclose(
        table["quantiles"][::100],
        [-np.max(model.log_prob(x)), -np.min(model.log_prob(x))],
        rtol=1e-5,
    )
    assert zoo.evaluation.anomaly_score(model, x, table).shape == (50,)


def test_labels_count(rng):
    model, labels = conditional_vae(), LABELS[:50]
    table = zoo.evaluation.rarity(model, BINARY[:50], {"label": labels})
    one, other = (
        zoo.evaluation.anomaly_score(model, BINARY[:50], table, {"label": given})
        for given in (labels, (labels + 1) % 10)
    )
    assert not np.array_equal(one, other)


def test_what_has_no_score_is_refused():
    model, x = build(), BINARY[:20]
    table = zoo.evaluation.rarity(model, x, num_importance_samples=1)
    with pytest.raises(ValueError, match="must be finite"):
        zoo.evaluation.anomaly_score(model, np.nan * x, table)
    with pytest.raises(ValueError, match="`num_importance_samples` must be at least 1"):
        zoo.evaluation.rarity(model, x, num_importance_samples=0)
    draws = [table | {"num_importance_samples": n} for n in (None, 0, -1, True)]
    for wrong in ({}, *draws, [1, 2]):
        with pytest.raises(ValueError, match=r"table of `zoo\.evaluation\.rarity` for"):
            zoo.evaluation.anomaly_score(model, x, wrong)
