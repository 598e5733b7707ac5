"""Schedules: their values and the step at which each value acts."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from tests import configs
from zoo import schedules
from zoo.objectives import ELBO


def test_linear_by_hand():
    ramp = schedules.Linear(2.0, 4.0, steps=4)
    values = [float(ramp(step)) for step in (0, 1, 3, 4, 100)]
    assert values == [2.0, 2.5, 3.5, 4.0, 4.0]


def test_linear_falls_too():
    assert float(schedules.Linear(1.0, 0.0, steps=4)(tf.constant(3))) == 0.25


def test_linear_runs_in_a_graph():
    ramp = schedules.Linear(0.0, 1.0, steps=10)
    assert tf.function(ramp)(tf.constant(5)) == 0.5


def test_config_round_trip():
    ramp = schedules.Linear(0.0, 2.0, steps=8)
    config = keras.saving.serialize_keras_object(ramp)
    copy = keras.saving.deserialize_keras_object(config)
    assert float(copy(3)) == float(ramp(3)) == 0.75


def test_constants_are_themselves():
    assert schedules.value(0.3, tf.constant(7)) == 0.3


def losses(steps_per_execution, objective):
    """Mean loss of each pair of steps of a model that never changes."""
    linear = configs.LinearGaussian(np.zeros((2, 2)), np.zeros(2), 1.0)
    model = linear.model("wrong", objective=objective)
    model.compile(
        keras.optimizers.SGD(0.0),
        steps_per_execution=steps_per_execution,
        jit_compile=False,
    )
    x = np.ones((8, 2), "float32")
    history = model.fit(x, batch_size=4, epochs=4, verbose=0).history
    assert model.step == 8
    distortion, rate = np.mean(history["distortion"]), np.mean(history["rate"])
    return np.array(history["loss"]), distortion, rate


@pytest.mark.parametrize(
    "steps_per_execution", [pytest.param(1, marks=pytest.mark.slow), 2]
)
def test_beta_acts_at_its_step(steps_per_execution):
    ramp = zoo.schedules.Linear(0.0, 1.0, steps=6)
    loss, distortion, rate = losses(steps_per_execution, ELBO(beta=ramp))
    beta = np.minimum(np.arange(8) / 6, 1).reshape(4, 2).mean(axis=1)
    np.testing.assert_allclose(loss, distortion + beta * rate, rtol=1e-5)


@pytest.mark.parametrize(
    "steps_per_execution", [pytest.param(1, marks=pytest.mark.slow), 2]
)
def test_free_bits_act_at_their_step(steps_per_execution):
    ramp = zoo.schedules.Linear(8.0, 0.0, steps=4)
    loss, distortion, rate = losses(steps_per_execution, ELBO(free_bits=ramp))
    floor = np.maximum(8 - 2 * np.arange(8), 0)
    expected = distortion + np.maximum(floor, rate).reshape(4, 2).mean(axis=1)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_keras_schedules_work():
    ramp = keras.optimizers.schedules.PolynomialDecay(0.5, 8, 0.0)
    loss, distortion, rate = losses(2, ELBO(beta=ramp))
    beta = 0.5 * (1 - np.arange(8) / 8).reshape(4, 2).mean(axis=1)
    np.testing.assert_allclose(loss, distortion + beta * rate, rtol=1e-5)


def test_a_function_that_branches_is_told_how_to(vae, digits):
    vae.objective = ELBO(beta=lambda step: 0.0 if step < 10 else 1.0)
    with pytest.raises(ValueError, match=r"`tf.where\(step .*Received: <function"):
        vae.fit(digits, verbose=0)
    vae.objective = ELBO(beta=lambda step: tf.where(step < 10, 0.0, 1.0))
    vae.fit(digits, verbose=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cls", "name", "options"),
    [
        (zoo.IWAE, "beta", {}),
        (zoo.BetaTCVAE, "beta", {"dataset_size": 64}),
        (zoo.CapacityVAE, "capacity", {}),
    ],
)
def test_variants_look_up_their_own_schedule(cls, name, options, digits):
    """Half-way up the ramp a model equals one with the constant 2.5."""
    losses = []
    for value in (zoo.schedules.Linear(0.0, 5.0, steps=10), 2.5):
        model = configs.build(cls, **options, **{name: value})
        model.step.assign(5)
        model(digits)
        losses.append(float(tf.add_n(model.losses)))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_only_training_counts_steps(vae, digits):
    vae.evaluate(digits, verbose=0)
    vae.predict(digits, verbose=0)
    vae(digits)
    assert vae.step == 0
    vae.fit(digits, batch_size=16, validation_data=digits, verbose=0)
    assert vae.step == 4
