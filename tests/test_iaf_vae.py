"""IAF-VAE: the diagonal VAE plus a flow, and nothing else."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import zoo
from tests import configs
from zoo import bounds
from zoo.draws import Sample
from zoo.heads import IAFPosterior
from zoo.objectives import ELBO
from zoo.variants.iaf_vae import IAFVAE

tfd = tfp.distributions


def build(**options):
    return configs.build(IAFVAE, **{"steps": 2, "units": (8,), **options})


def shake(model, rng):
    """Moves the flow away from its start, where it is nearly linear."""
    for weight in model.posterior_head.flow.weights:
        weight.assign(weight + 0.3 * rng.normal(size=weight.shape))
    return model


@pytest.mark.slow
def test_with_wide_open_gates_it_is_the_diagonal_vae(digits, rng):
    model, plain = shake(build(forget_bias=200.0), rng), configs.build()
    plain.encoder.set_weights(model.encoder.get_weights())
    plain.decoder.set_weights(model.decoder.get_weights())
    plain.posterior_head.set_weights(model.posterior_head.base.get_weights())
    np.testing.assert_array_equal(model.encode(digits)[0], plain.encode(digits)[0])
    found, expected = (
        m.log_prob(digits, num_importance_samples=5, seed=3) for m in (model, plain)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_linear_flow_is_the_exact_posterior_of_a_linear_model():
    """x = W z + noise has a full-covariance p(z|x): one plain linear step reaches it.

    Then log p(x, z) - log q(z|x) = log p(x) for every draw.
    """
    exact = configs.LinearGaussian.make(orthogonal=False)
    full = exact.model()
    model = IAFVAE(
        full.encoder,
        full.decoder,
        latent_dim=2,
        steps=1,
        units=(),
        gated=False,
        likelihood=zoo.Normal(exact.sigma),
    )
    kernel, offset, cov = exact.posterior()
    cholesky = np.linalg.cholesky(cov)
    scale = np.diag(cholesky)
    unit = np.linalg.inv(cholesky / scale)  # of the map z_2 <- z_2 + slope * z_1
    base, made = model.posterior_head.base, model.posterior_head.flow.made
    base.set_weights(
        [
            np.concatenate([kernel @ unit.T, 0 * kernel], axis=1),
            np.concatenate([unit @ offset, np.log(np.expm1(scale - base.min_scale))]),
        ]
    )
    made.context_layer.length.assign([[0, 0, 0, 0]])
    made.layers[0].kernel.assign(tf.ones([1, 2, 4]))
    made.layers[0].length.assign([[0, 0, -unit[1, 0], 0]])  # m_1, s_1, m_2, s_2
    x = exact.data(20)
    log_w = model.log_weights(x, num_importance_samples=3)
    expected = np.broadcast_to(exact.marginal.logpdf(x), log_w.shape)
    np.testing.assert_allclose(log_w, expected, atol=1e-4)  # float32 sums


@pytest.mark.parametrize(("gated", "context_dim"), [(True, 5), (False, 5), (False, 0)])
def test_log_q_of_a_draw_is_the_posterior_s(gated, context_dim, digits, rng):
    model = shake(build(gated=gated, context_dim=context_dim), rng)
    draw = Sample(tf.constant([0, 1]), rows=4 * 6, samples=4)
    model.walk(draw, model.features(digits[:6], {}), {})
    (latent,) = draw.latents
    by_inverse = latent.posterior.log_prob(draw.split(latent.z))  # a copy, uncached
    np.testing.assert_allclose(draw.split(latent.log_q), by_inverse, atol=1e-3)
    monte_carlo = latent.log_q - latent.prior.log_prob(latent.z)
    np.testing.assert_array_equal(bounds.rate(latent), monte_carlo)


def test_codes_are_the_flow_of_the_base_mean(digits, rng):
    model = shake(build(), rng)
    posterior = model.posterior(model.features(digits, {}))
    expected = posterior.bijector.forward(posterior.distribution.mean())
    np.testing.assert_allclose(model.encode(digits)[0], expected, atol=1e-6)  # a graph


@pytest.mark.slow
def test_fit_lowers_the_loss_and_moves_every_weight_of_every_step():
    model = build(steps=3)
    before = [weight.numpy() for weight in model.trainable_weights]
    model.compile(configs.optimizer(), jit_compile=False)
    history = model.fit(configs.BINARY, epochs=3, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    for weight, start in zip(model.trainable_weights, before):
        assert not np.array_equal(weight, start), weight.path
        if "/made" in weight.path:  # the steps' weights lie side by side
            assert (weight != start).numpy().any(axis=(*range(1, weight.ndim),)).all()


def test_free_bits_are_respected(digits):
    """The floor replaces the rate below it, and leaves it alone above."""
    for floor in (0.01, 50.0):
        model = build(objective=ELBO(free_bits=floor))
        draw = Sample(tf.constant([0, 1]), rows=len(digits))
        z = model.walk(draw, model.features(digits, {}), {})
        rate = float(tf.reduce_mean(tf.add_n(draw.rates)))
        log_p = model.likelihood(z, {}).log_prob(digits)
        found = float(model.terms(draw, log_p)["beta_floored_rate"])
        assert 0.01 < rate < 50
        assert found == pytest.approx(max(rate, floor))


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        lambda: build(gated=False, context_dim=5, forget_bias=1.0, objective=ELBO(0.5)),
        lambda: build(context_dim=0),
        lambda: configs.build(
            posterior=IAFPosterior(configs.LATENT_DIM, steps=2, units=(8, 8))
        ),
    ],
    ids=["variant", "without context", "head"],
)
def test_round_trips(make, digits, tmp_path, rng):
    model = shake(make(), rng)
    config = json.loads(json.dumps(model.get_config()))
    rebuilt = type(model).from_config(config)
    assert json.loads(json.dumps(rebuilt.get_config())) == config
    model.save_weights(tmp_path / "model.weights.h5")
    rebuilt.load_weights(tmp_path / "model.weights.h5")
    model.save(tmp_path / "model.keras")
    model.save_to_preset(tmp_path / "entry")
    for copy in (
        rebuilt,
        keras.saving.load_model(tmp_path / "model.keras"),
        zoo.load(tmp_path / "entry"),
    ):
        assert type(copy) is type(model)
        np.testing.assert_array_equal(
            copy.log_weights(digits, num_importance_samples=2),
            model.log_weights(digits, num_importance_samples=2),
        )


def test_another_posterior_is_refused():
    with pytest.raises(TypeError, match="posterior"):
        build(posterior=zoo.DiagonalNormal(configs.LATENT_DIM))
