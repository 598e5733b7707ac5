"""Objectives may be exchanged; what else a model was made of may not."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

import zoo
from tests.configs import BINARY, build, ladder, nvae, optimizer
from zoo import bounds, objectives
from zoo.bounds import Latent
from zoo.draws import Sample, seed_words
from zoo.heads.diagonal_normal import diagonal_normal, loc_and_scale
from zoo.objectives import ELBO, IWELBO, TotalCorrelation

X = BINARY[:64]


def fitted(model):
    return model.fit(X, batch_size=32, verbose=0).history


def test_another_objective_takes_its_place_from_the_next_fit_on():
    model = build()
    model.compile(optimizer(), jit_compile=False)
    assert "beta_rate" in fitted(model)
    model.objective = IWELBO(num_importance_samples=3)
    logs = fitted(model)
    assert {"iw_elbo", "negative_beta_iw_elbo"} <= logs.keys()
    assert "beta_rate" not in logs
    np.testing.assert_allclose(logs["loss"], -np.array(logs["iw_elbo"]), rtol=1e-5)
    copy = zoo.VAE.from_config(model.get_config())
    assert dataclasses.asdict(copy.objective) == dataclasses.asdict(model.objective)


def test_models_may_share_an_objective():
    shared = ELBO(2.0)
    one, other = build(objective=shared), build(objective=shared)
    one.objective = dataclasses.replace(shared, beta=5.0)
    assert (one.objective.beta, other.objective.beta) == (5.0, 2.0)


def test_the_iw_elbo_is_the_bound_at_beta_one():
    model = build(objective=IWELBO(num_importance_samples=3, beta=0.5))
    draw = model.objective.draw(seed_words(1), len(X))
    out = model.walk(draw, model.features(X, {}), {})
    log_p = model.likelihood(out, {}).log_prob(draw.repeat(X))
    log_w = draw.split(bounds.log_weights(log_p, draw.latents))
    metrics = model.measure(tf.constant(X), {}, seed_words(1)).metrics
    np.testing.assert_allclose(metrics["iw_elbo"], bounds.iw_elbo(log_w), rtol=1e-5)


@keras.saving.register_keras_serializable("zoo_tests")
class OwnBeta(zoo.VAE):
    """A variant whose `beta` is its own and has nothing to do with the objective's."""

    def __init__(self, *args, beta: float, **kwargs):
        super().__init__(*args, **kwargs)
        self.beta = beta


def test_a_variant_may_have_an_attribute_of_the_objective_s_name():
    model = build(OwnBeta, beta=7.0)
    assert (model.beta, model.objective.beta) == (7.0, 1.0)
    assert OwnBeta.from_config(model.get_config()).beta == 7.0


@keras.saving.register_keras_serializable("zoo_tests")
class Forgetful(zoo.VAE):
    """Does not keep its argument, which is also a hook's name."""

    def __init__(self, *args, features: int = 3, **kwargs):
        super().__init__(*args, **kwargs)


@dataclasses.dataclass(eq=False)
class Loose(objectives.Objective):
    """It could change behind a compiled step's back."""

    weight: float = 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda: setattr(build(), "objective", ELBO), "frozen dataclass.*class"),
        (lambda: build(objective="elbo"), "frozen dataclass.*'elbo'"),
        (lambda: build(objective=Loose()), "frozen dataclass.*Loose"),
        (
            lambda: setattr(build(zoo.BetaVAE), "objective", IWELBO()),
            r"BetaVAE must be ELBO of .*IWELBO",
        ),
        (
            lambda: setattr(build(zoo.BetaVAE), "objective", ELBO(4.0, free_bits=3.0)),
            r"constructor's arguments; .*free_bits=3.0",
        ),
        (lambda: setattr(build(zoo.BetaVAE), "beta", -1.0), "negative.*beta=-1.0"),
        (lambda: setattr(build(zoo.BetaVAE), "beta", "x"), "negative.*beta='x'"),
        (
            lambda: setattr(build(zoo.IWAE), "num_importance_samples", 0),
            "at least 1.*=0",
        ),
        (lambda: IWELBO(2.5), "whole number.*=2.5"),
        (lambda: setattr(build(), "beta", 4.0), "`beta` of a VAE is fixed"),
        (lambda: setattr(build(), "latent_dim", 4), "`latent_dim` of a VAE is fixed"),
        (
            lambda: setattr(build(zoo.SigmaVAE), "sigma", 0.1),
            "`sigma` of a SigmaVAE is fixed",
        ),
        (
            lambda: setattr(ELBO(), "beta", 4.0),
            "cannot assign to field 'beta'",
        ),
        (
            lambda: build(zoo.BetaVAE, objective=ELBO()),
            "BetaVAE makes `objective` itself",
        ),
        (lambda: build(Forgetful).get_config(), "must keep its argument as"),
    ],
)
def test_what_cannot_be_changed_is_refused(change, message):
    with pytest.raises((AttributeError, TypeError, ValueError), match=message):
        change()


def test_a_refused_objective_leaves_the_one_before(digits):
    model = ladder(zoo.LadderVAE)
    before = model.objective
    with pytest.raises(ValueError, match="one layer"):
        model.objective = TotalCorrelation(dataset_size=64)
    assert model.objective is before
    change = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda *_: setattr(model, "objective", ELBO(0.5))
    )
    model.compile(optimizer(), jit_compile=False)
    with pytest.raises(ValueError, match=r"not within one; .*zoo.schedules.Linear"):
        model.fit(digits, callbacks=change, verbose=0)
    model.objective = ELBO(0.5)


def test_a_step_of_ones_own_has_metrics(digits):
    class Own(zoo.VAE):
        def train_step(self, data):
            self(data, training=True)
            return {m.name: m.result() for m in self.metrics}

    model = build(Own)
    model.compile(optimizer(), run_eagerly=True, jit_compile=False)
    assert model.fit(digits, verbose=0).history["distortion"][0] > 1


@pytest.mark.parametrize("dreg", [False, True])
def test_importance_weights_of_maps(dreg):
    """One group of maps: the bound is that of the plain draws."""
    model = nvae((1,), objective=IWELBO(3, doubly_reparameterised=dreg))
    x = tf.constant(X[:4])
    with tf.GradientTape() as tape:
        model(x, training=True)
        loss = tf.add_n(model.losses)
    assert np.isfinite(loss)
    gradients = tape.gradient(loss, [w.value for w in model.trainable_weights])
    assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_one_scale_does_for_many_dimensions():
    loc = tf.random.stateless_normal([5, 3], seed=[0, 1])
    found = []
    for scale in (0.5, tf.fill([3], 0.5), tf.fill([5, 3], 0.5)):
        posterior = tfd.Independent(tfd.Normal(loc, scale), 1)
        for ours, given in zip(loc_and_scale(posterior), (loc, tf.fill([5, 3], 0.5))):
            np.testing.assert_array_equal(ours, given)
        latent = Latent(loc, posterior.log_prob(loc), posterior, posterior)
        found.append(objectives.decompose(latent, 64))
    np.testing.assert_array_equal(found[0], found[2])
    np.testing.assert_array_equal(found[1], found[2])


def test_the_total_correlation_of_maps_is_that_of_their_values():
    model = nvae((1,), objective=TotalCorrelation(dataset_size=64))
    draw = Sample(seed_words(0), len(X))
    model.walk(draw, model.features(X, {}), {})
    (latent,) = draw.latents
    found = objectives.decompose(latent, 64)
    normal = diagonal_normal(latent.posterior)
    flat = [tf.reshape(t, [64, -1]) for t in (latent.z, normal.loc, normal.scale)]
    z, loc, scale = map(np.float64, flat)
    gaps = (z[:, None] - loc) / scale
    pairs = -(gaps**2) / 2 - np.log(scale) - np.log(2 * np.pi) / 2
    log_q_z = np.logaddexp.reduce(pairs.sum(-1), axis=1) - np.log(64 * 64)
    log_q_dims = np.logaddexp.reduce(pairs, axis=1) - np.log(64 * 64)
    expected = log_q_z - log_q_dims.sum(1)
    assert np.mean(expected) > 1  # nats: no trivial case
    np.testing.assert_allclose(found[1], expected, rtol=1e-4)
    ratio = latent.log_q - bounds.log_prob(latent.prior, latent.z)
    np.testing.assert_allclose(tf.add_n(found), ratio, rtol=1e-3, atol=1e-3)
