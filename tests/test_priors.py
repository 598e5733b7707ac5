"""Priors: densities that integrate to one, draws that follow them, rates."""

import json
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import stats
from sklearn.mixture import GaussianMixture

import zoo
from tests import configs, small_models
from zoo import bounds, priors
from zoo.draws import Sample

tfd = tfp.distributions
SEED = (1, 2)


def scatter(prior, scale=0.4):
    """Moves every weight, so that no test sees an initial symmetry."""
    rng = np.random.default_rng(0)
    for weight in prior.trainable_weights:
        weight.assign_add(scale * rng.normal(size=weight.shape))
    return prior


def one_dimensional():
    return {
        "standard": priors.StandardNormal(1),
        "anisotropic": priors.AnisotropicNormal(1, [0.3]),
        "student_t": priors.StudentT(1, df=10.0),
        "sparse": priors.SparsePrior(1, off=0.7, off_scale=0.1),
    }


def learned(name, latent_dim=2):
    """A learned prior whose weights are scattered, and the model that asks it."""
    prior = {
        "mixture": lambda: priors.MixturePrior(latent_dim, components=4),
        "vamp": lambda: priors.VampPrior(latent_dim, components=4),
        "flow": lambda: priors.FlowPrior(latent_dim, layers=4, units=8),
        "glow": lambda: priors.GlowPrior(latent_dim, steps=2, units=8),
    }[name]()
    prior.build((None, *configs.IMAGE))
    scatter(prior, 0.15 if name == "glow" else 0.4)  # it leaves the grids otherwise
    return prior, Asker(latent_dim)


class Asker:
    """As much of a VAE as a prior sees."""

    fields = ("x",)

    def __init__(self, latent_dim=2):
        self.likelihood_head = zoo.Bernoulli()
        self.encoder = zoo.networks.dense_encoder(configs.IMAGE, units=(8,))
        self.head = zoo.DiagonalNormal(latent_dim)
        self.head.build((None, 8))
        for layer in (self.encoder, self.head):
            scatter(layer)

    def features(self, x, given):
        return self.encoder(x)

    def posterior(self, features):
        return self.head(features)


LEARNED = ("mixture", "vamp", "flow", "glow")


def test_standard_normal_matches_scipy(rng, vae):
    z = rng.normal(size=(5, 4, 3)).astype("float32")
    prior = priors.StandardNormal(3).distribution(vae)
    assert prior.event_shape == (3,)
    expected = stats.norm.logpdf(z).sum(-1)
    np.testing.assert_allclose(prior.log_prob(z), expected, rtol=1e-5)


def test_samples_are_standard_normal(vae):
    z = vae.prior({}).sample(20_000, seed=(0, 1))
    # 4 standard errors of a mean and, about, of a standard deviation
    np.testing.assert_allclose(np.mean(z, axis=0), 0.0, atol=4 / np.sqrt(20_000))
    np.testing.assert_allclose(np.std(z, axis=0), 1.0, atol=4 / np.sqrt(20_000))


def test_the_standard_normal_keeps_its_config():
    config = keras.saving.serialize_keras_object(priors.StandardNormal(7))
    assert keras.saving.deserialize_keras_object(config).latent_dim == 7


def test_a_prior_must_say_its_distribution(vae):
    with pytest.raises(NotImplementedError):
        priors.Prior(3).distribution(vae)


@pytest.mark.parametrize("name", one_dimensional())
def test_one_dimension_integrates_to_one_and_draws_follow(name):
    p = one_dimensional()[name].distribution(None)
    z = np.linspace(-60.0, 60.0, 60_001, dtype="float32")
    density = np.exp(p.log_prob(z[:, None]).numpy().astype("float64"))
    mass = np.trapezoid(density, z)
    # float32 log densities are good to 1e-6; t's tail beyond 60 holds less than 1e-12.
    assert mass == pytest.approx(1.0, abs=1e-5)
    cdf = np.cumsum(density) * (z[1] - z[0])
    draws = p.sample(5_000, seed=SEED).numpy()[:, 0]
    # Kolmogorov-Smirnov: a right sampler fails at 1e-3 once in a thousand seeds.
    assert stats.kstest(draws, lambda t: np.interp(t, z, cdf)).pvalue > 1e-3


@pytest.mark.parametrize("name", LEARNED)
def test_two_dimensions_integrate_to_one_and_draws_follow(name):
    prior, asker = learned(name)
    p = prior.distribution(asker)
    axis = np.linspace(-14.0, 14.0, 701)
    z = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    parts = np.array_split(z.astype("float32"), 10)
    log_p = np.concatenate([p.log_prob(part) for part in parts]).astype("float64")
    weights = np.exp(log_p) * (axis[1] - axis[0]) ** 2
    # The rectifiers' kinks limit the rule to the square of its step, 0.04.
    assert weights.sum() == pytest.approx(1.0, abs=2e-3)
    mean = weights @ z
    cov = (z - mean).T @ ((z - mean) * weights[:, None])
    draws = p.sample(40_000, seed=SEED).numpy()
    # Five standard errors of a mean are 0.025 sigma; of a covariance, somewhat more.
    scale = math.sqrt(np.trace(cov))
    np.testing.assert_allclose(draws.mean(0), mean, rtol=0, atol=0.03 * scale)
    np.testing.assert_allclose(np.cov(draws.T), cov, rtol=0, atol=0.05 * scale**2)


@pytest.mark.parametrize("name", LEARNED)
def test_shapes_seeds_and_gradients(name):
    prior, asker = learned(name, latent_dim=3)
    z = tf.random.stateless_normal((5, 4, 3), seed=SEED)
    with tf.GradientTape() as tape:
        p = prior.distribution(asker)
        log_p = p.log_prob(z)
    assert log_p.shape == (5, 4)
    assert p.event_shape == (3,)
    np.testing.assert_array_equal(p.sample(7, seed=SEED), p.sample(7, seed=SEED))
    for gradient in tape.gradient(log_p, prior.trainable_variables):
        assert np.isfinite(gradient).all()
        assert np.any(gradient)


@pytest.mark.parametrize("name", LEARNED)
def test_config_and_weights_round_trip(name):
    prior, asker = learned(name, latent_dim=3)
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(prior)))
    copy = keras.saving.deserialize_keras_object(config)
    copy.set_weights(prior.get_weights())
    z = np.ones((2, 3), "float32")
    np.testing.assert_array_equal(
        copy.distribution(asker).log_prob(z), prior.distribution(asker).log_prob(z)
    )


@pytest.mark.parametrize(
    "prior",
    [
        priors.AnisotropicNormal(2, np.array([1.5, 0.5])),
        priors.StudentT(2, 3.0),
        priors.SparsePrior(2, off=0.6),
    ],
    ids=lambda prior: type(prior).__name__,
)
def test_shaped_priors_keep_their_config(prior):
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(prior)))
    copy = keras.saving.deserialize_keras_object(config)
    z = np.array([[0.1, -2.0]], "float32")
    np.testing.assert_array_equal(
        copy.distribution(None).log_prob(z), prior.distribution(None).log_prob(z)
    )


def test_densities_are_scipys(rng):
    z = rng.normal(size=(3, 5, 2)).astype("float32")
    sparse = np.log(0.2 * stats.norm.pdf(z) + 0.8 * stats.norm.pdf(z, scale=0.05))
    expected = {
        priors.AnisotropicNormal(2, [2.0, 0.5]): stats.norm.logpdf(z, scale=[2.0, 0.5]),
        priors.StudentT(2, 4.0): stats.t.logpdf(z, 4.0),
        priors.SparsePrior(2, off=0.8, off_scale=0.05): sparse,
    }
    for prior, log_p in expected.items():
        found = prior.distribution(None).log_prob(z)
        np.testing.assert_allclose(found, log_p.sum(-1), rtol=2e-5, atol=1e-5)


def test_mixture_is_scipys(rng):
    prior, _ = learned("mixture")
    logits, loc, raw_scale = (np.asarray(w) for w in prior.weights)
    scale = np.log1p(np.exp(raw_scale)) + prior.min_scale
    z = rng.normal(size=(6, 2)).astype("float32")
    parts = stats.norm.logpdf(z[:, None], loc, scale).sum(-1)
    weights = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(
        prior.distribution(None).log_prob(z), np.log(np.exp(parts) @ weights), rtol=1e-5
    )


def test_mixture_starts_spread_with_unit_variance():
    prior = priors.MixturePrior(8, components=500)
    prior.build((None, 4))
    p = prior.distribution(None)
    draws = np.stack([p.sample(500, seed=(1, i)) for i in range(4)])
    # 4000 location coordinates and 16000 draws: 0.05 is above three standard errors.
    assert draws.var() == pytest.approx(1.0, abs=0.05)
    assert np.std(prior.loc) == pytest.approx(math.sqrt(0.5), abs=0.05)


def test_vamp_is_the_mixture_of_posteriors(rng):
    prior, asker = learned("vamp")
    inputs = 1.0 / (1.0 + np.exp(-np.asarray(prior.raw_inputs)))
    q = asker.posterior(asker.features(inputs, {})).distribution
    z = rng.normal(size=(3, 5, 2)).astype("float32")
    parts = stats.norm.pdf(z[..., None, :], q.loc, q.scale).prod(-1)
    np.testing.assert_allclose(
        prior.distribution(asker).log_prob(z), np.log(parts.mean(-1)), rtol=1e-4
    )


def test_vamp_pseudo_inputs_stay_in_the_support():
    prior, asker = learned("vamp")
    prior.raw_inputs.assign(1e3 * prior.raw_inputs)
    inputs = prior.pseudo_inputs(asker)
    assert inputs.shape == (4, *configs.IMAGE)
    assert 0.0 <= np.min(inputs) <= np.max(inputs) <= 1.0
    asker.likelihood_head = zoo.Normal()  # no bounds, no squashing
    np.testing.assert_array_equal(prior.pseudo_inputs(asker), prior.raw_inputs)


def test_vamp_refuses_a_flow():
    prior, asker = learned("vamp")
    base = asker.posterior(asker.features(configs.BINARY[:4], {}))
    flow = tfd.TransformedDistribution(base, tfp.bijectors.Scale(2.0))
    asker.posterior = lambda features: flow
    with pytest.raises(ValueError, match=r"closed form.*Received: posterior="):
        prior.distribution(asker)


def test_vamp_refuses_batch_normalisation():
    """Pseudo-inputs in the moving averages would falsify every evaluation."""
    encoder = zoo.networks.dense_encoder(configs.IMAGE, (16,), batch_norm=True)
    decoder = zoo.networks.dense_decoder(4, configs.IMAGE, (16,))
    with pytest.raises(ValueError, match="without batch normalisation"):
        zoo.VAE(encoder, decoder, 4, prior=zoo.VampPrior(4, components=3))


def test_vamp_refuses_conditions():
    prior = zoo.VampPrior(configs.LATENT_DIM, components=3)
    with pytest.raises(ValueError, match=r"without conditions\. Received: x, label"):
        configs.conditional_vae(prior=prior)


def test_a_mixture_is_fitted_to_the_codes_of_conditions_too():
    model = configs.conditional_vae()
    given = {"label": configs.LABELS[:64]}
    fit = zoo.evaluation.fit_mixture_prior
    sampler = fit(model, configs.BINARY[:64], components=2, given=given)
    assert isinstance(sampler.prior_head, zoo.MixturePrior)
    assert sampler.sample(64, given).shape == (64, *configs.IMAGE)


def test_flow_starts_as_the_standard_normal(rng):
    prior = priors.FlowPrior(3, layers=4, units=8)
    prior.build((None, 4))
    z = rng.normal(size=(6, 3)).astype("float32")
    np.testing.assert_allclose(
        prior.distribution(None).log_prob(z), stats.norm.logpdf(z).sum(-1), rtol=1e-5
    )


def test_latents_on_a_grid_are_bent_together(rng):
    """The places of a map see one another, through the couplings' windows."""
    prior = priors.GlowPrior(8, shape=(2, 2, 2), steps=2, units=8)
    prior.build((None, 4))
    scatter(prior, 0.2)
    z = tf.constant(rng.normal(size=(5, 8)), tf.float32)
    flow = prior.bijector()
    with tf.GradientTape() as tape:
        tape.watch(z)
        noise = flow.inverse(z)
    jacobian = tape.batch_jacobian(noise, z)
    log_det = np.linalg.slogdet(np.float64(jacobian))[1]
    log_p = stats.norm.logpdf(noise).sum(-1) + log_det
    np.testing.assert_allclose(prior.distribution(None).log_prob(z), log_p, rtol=1e-4)
    np.testing.assert_allclose(flow.forward(tf.identity(noise)), z, atol=1e-4)
    assert (np.abs(jacobian).max(0) > 0).all()


@pytest.mark.parametrize("name", ["flow", "glow"])
def test_flow_forgets_what_old_weights_said(name):
    prior, _ = learned(name)
    z = tf.ones((1, 2))
    before = prior.distribution(None).log_prob(z)
    scatter(prior, 0.1)
    after = prior.distribution(None).log_prob(z)
    assert before != after
    assert after == prior.distribution(None).log_prob(tf.ones((1, 2)))


@pytest.mark.parametrize("latent_dim", [2, 3, 6])
def test_flow_inverts_and_its_log_det_is_autodiffs(latent_dim, rng):
    prior, _ = learned("flow", latent_dim)
    flow = prior.bijector()
    z_0 = tf.constant(rng.normal(size=(20, latent_dim)), tf.float32)
    z = flow.forward(z_0)
    assert np.abs(z - z_0).min(axis=0).max() > 1e-3  # every dimension is changed
    fresh = tf.identity(z)  # TFP remembers where z itself came from
    # Four couplings in float32, each stretching by less than ten.
    np.testing.assert_allclose(flow.inverse(fresh), z_0, rtol=0, atol=1e-4)
    with tf.GradientTape() as tape:
        tape.watch(z_0)
        z = prior.bijector().forward(z_0)
    _, log_det = np.linalg.slogdet(tape.batch_jacobian(z, z_0))
    np.testing.assert_allclose(
        flow.forward_log_det_jacobian(z_0, 1), log_det, rtol=1e-3, atol=1e-4
    )
    np.testing.assert_allclose(
        flow.inverse_log_det_jacobian(fresh, 1), -log_det, rtol=1e-3, atol=1e-3
    )


def latent(prior, asker, num_samples):
    q = asker.posterior(asker.features(configs.GREY[:3], {}))
    draw = Sample(tf.constant(SEED), rows=3 * num_samples, samples=num_samples)
    draw(prior.distribution(asker), q)
    return draw, draw.latents[0]


def test_rate_of_the_anisotropic_normal_is_analytic():
    draw, sample = latent(priors.AnisotropicNormal(2, [2.0, 0.5]), Asker(), 100_000)
    rate = draw.split(bounds.rate(sample))
    np.testing.assert_array_equal(rate[0], rate[1])
    one_sample = draw.split(sample.log_q - sample.prior.log_prob(sample.z))
    error = np.std(one_sample, axis=0) / math.sqrt(100_000)
    assert (np.abs(np.mean(one_sample, axis=0) - rate[0]) < 5 * error).all()


@pytest.mark.parametrize("name", ["student_t", "sparse", *LEARNED])
def test_other_rates_are_one_sample_estimates(name):
    if name in LEARNED:
        prior, asker = learned(name)
    else:
        prior = {"student_t": priors.StudentT(2), "sparse": priors.SparsePrior(2)}[name]
        asker = Asker()
    _, sample = latent(prior, asker, 6)
    expected = sample.log_q - sample.prior.log_prob(sample.z)
    np.testing.assert_array_equal(bounds.rate(sample), expected)


def test_flow_takes_a_full_normal_posterior():
    prior, _ = learned("flow")
    q = tfd.MultivariateNormalTriL(tf.zeros((3, 2)), tf.eye(2))
    draw = Sample(tf.constant(SEED), rows=4 * 3, samples=4)
    draw(prior.distribution(None), q)
    assert bounds.rate(draw.latents[0]).shape == (12,)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mixture", "flow"])
def test_learned_priors_fit_a_ring(name, rng):
    """A ring of radius 2 and width 0.1, which no normal fits."""
    angle = rng.uniform(0.0, 2.0 * math.pi, 1_000)
    radius = rng.normal(2.0, 0.1, 1_000)
    z = np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1).astype("float32")
    prior = {
        "mixture": priors.MixturePrior(2, components=16),
        "flow": priors.FlowPrior(2, layers=4, units=32),
    }[name]
    prior.build((None, 2))
    optimizer = keras.optimizers.Adam(0.02)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(prior.distribution(None).log_prob(z))
        variables = prior.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        return loss

    for _ in range(200):
        loss = step()
    best_normal = stats.multivariate_normal(z.mean(0), np.cov(z.T)).logpdf(z).mean()
    assert -loss > best_normal + 0.5


@pytest.mark.slow
@pytest.mark.parametrize("name", LEARNED)
def test_a_vae_trains_with_a_learned_prior(name):
    prior = {
        "mixture": priors.MixturePrior(configs.LATENT_DIM, components=8),
        "vamp": priors.VampPrior(configs.LATENT_DIM, components=8),
        "flow": priors.FlowPrior(configs.LATENT_DIM, 2, units=16),
        "glow": priors.GlowPrior(configs.LATENT_DIM, steps=2, units=16),
    }[name]
    vae = configs.build(prior=prior)
    vae.compile(configs.optimizer(), jit_compile=False, run_eagerly=True)
    before = [np.copy(weight) for weight in prior.trainable_weights]
    history = vae.fit(configs.BINARY, batch_size=64, verbose=0).history
    assert np.isfinite(history["elbo"]).all()
    after = prior.trainable_weights
    moved = [not np.array_equal(a, b) for a, b in zip(before, after)]
    assert all(moved)
    np.testing.assert_array_equal(vae.sample(3, seed=1), vae.sample(3, seed=1))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: priors.AnisotropicNormal(2, [1.0]), "2 positive numbers"),
        (lambda: priors.AnisotropicNormal(2, [1.0, 0.0]), "2 positive numbers"),
        (lambda: priors.StudentT(2, df=0.0), "`df` must be positive"),
        (lambda: priors.SparsePrior(2, off=1.0), "between 0 and 1"),
        (lambda: priors.SparsePrior(2, off_scale=0.0), "between 0 and 1"),
        (lambda: priors.FlowPrior(1), "`latent_dim` must be at least 2"),
        (lambda: priors.GlowPrior(1), "`channels` must be at least 2"),
        (lambda: priors.GlowPrior(4, (2, 2, 2)), "must have `latent_dim`, 4, places"),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=f"{message}.*Received: "):
        make()


def test_a_fitted_mixture_is_scikit_learns(digits):
    """An autoencoder's codes are points, so that the fit can be repeated here."""
    model = configs.build(zoo.Autoencoder)
    sampler = zoo.evaluation.fit_mixture_prior(model, digits, components=3, seed=1)
    (codes,) = model.encode(digits)
    mixture = GaussianMixture(3, covariance_type="diag", random_state=1).fit(codes)
    density = sampler.prior({}).log_prob(codes)
    # float32 densities of float64 parameters.
    np.testing.assert_allclose(density, mixture.score_samples(codes), rtol=1e-3)
    np.testing.assert_array_equal(sampler.encode(digits)[0], codes)
    assert sampler.sample(4).shape == (4, *configs.IMAGE)


@pytest.mark.parametrize("cls", [zoo.BetaVAE, zoo.LadderVAE])
def test_a_fitted_mixture_leaves_all_else_as_it_was(cls, digits):
    model = configs.ladder(cls) if cls is zoo.LadderVAE else configs.build(cls)
    sampler = zoo.evaluation.fit_mixture_prior(model, digits, components=2)
    assert isinstance(sampler.prior_head, priors.MixturePrior)
    assert type(sampler) is cls
    np.testing.assert_array_equal(sampler.encode(digits)[0], model.encode(digits)[0])


def test_a_model_without_a_prior_gets_no_mixture(digits):
    model = small_models.SpatialVAE()
    with pytest.raises(ValueError, match=r"must be a VAE.*Received: SpatialVAE"):
        zoo.evaluation.fit_mixture_prior(model, digits)
