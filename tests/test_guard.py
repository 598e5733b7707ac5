"""Steps without finite gradients are left out, counted, and leave no trace."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from tests import configs
from tests.configs import assert_same_variables, snapshot

COUNTERS = ("calls", "step")  # of the noise and of schedules, which go on


@keras.saving.register_keras_serializable("zoo_tests")
class Spoilt(keras.layers.Layer):
    """Makes a batch infinite in which any pixel is 0.5."""

    def call(self, x):
        return tf.where(tf.reduce_any(x == 0.5), x / 0.0, x)


X = configs.BINARY[:64].reshape(4, 16, 8, 8, 1)
BAD = X.copy()
BAD[1, 0, 0, 0] = 0.5


def build():
    """A VAE with batch normalisation."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    parts = [Spoilt(), layers.Flatten(), layers.Dense(8), layers.BatchNormalization()]
    encoder = keras.Sequential([keras.Input(configs.IMAGE), *parts])
    return zoo.VAE(encoder, zoo.networks.dense_decoder(4, configs.IMAGE, (8,)), 4)


def guarded(optimizer="adam", jit_compile=False, **options):
    model = build()
    model.compile(optimizer, skip_non_finite=True, jit_compile=jit_compile, **options)
    return model


def one_by_one(batches):
    """A data set whose batches are those given, in order."""
    return tf.data.Dataset.from_tensor_slices(batches)


def without_counters(model):
    found = snapshot(model)
    return {k: v for k, v in found.items() if not k.endswith(COUNTERS)}


@pytest.mark.parametrize(
    "jit_compile",
    [False, pytest.param(True, marks=pytest.mark.slow)],
    ids=["graph", "xla"],
)
def test_a_skipped_step_leaves_no_trace_but_its_count(jit_compile):
    optimizer = keras.optimizers.Adamax(0.01, use_ema=True, ema_momentum=0.9)
    model = guarded(optimizer, jit_compile)
    good = model.fit(one_by_one(X[:1]), verbose=0).history
    before = without_counters(model)
    assert any("moving_mean" in name for name in before)
    assert any("average" in name for name in before)
    logs = model.train_on_batch(BAD[1], return_dict=True)
    assert_same_variables(without_counters(model), before)
    assert logs.pop("skipped_steps") == 1
    assert np.isnan(list(logs.values())).all()
    assert model.step == model.calls == 2
    optimizer = keras.optimizers.Adamax(0.01, use_ema=True, ema_momentum=0.9)
    other = guarded(optimizer, jit_compile)
    history = other.fit(one_by_one(BAD[:2]), verbose=0).history
    assert good.pop("skipped_steps") == [0]
    assert history.pop("skipped_steps") == [1]
    assert history == good  # no metric knows of the second batch


@pytest.mark.slow
def test_the_norm_is_numpys():
    model = guarded(keras.optimizers.SGD(1.0, global_clipnorm=1e9))
    before = model.get_weights()
    trained = [w.path for w in model.trainable_weights]
    paths = [w.path for w in model.weights]
    logs = model.train_on_batch(X[0], return_dict=True)
    changes = dict(zip(paths, zip(before, model.get_weights())))
    # Gradient descent at rate 1 moves every weight by its gradient.
    gradients = [np.float64(changes[p][0]) - changes[p][1] for p in trained]
    norm = np.sqrt(sum((g**2).sum() for g in gradients))
    # Differences of float32 weights of size 1 know gradients to 1e-7.
    np.testing.assert_allclose(logs["gradient_norm"], norm, rtol=1e-4)
    clipped = guarded(keras.optimizers.SGD(1.0, global_clipnorm=0.1))
    again = clipped.train_on_batch(X[0], return_dict=True)
    np.testing.assert_allclose(again["gradient_norm"], norm, rtol=1e-4)


@pytest.mark.slow
def test_steps_together_and_under_xla_agree():
    runs = []
    for options in (
        {"run_eagerly": True},
        {"steps_per_execution": 1},
        {"steps_per_execution": 2},
        {"steps_per_execution": 4},
    ):
        model = guarded(configs.optimizer(), **options)
        history = model.fit(one_by_one(BAD), epochs=2, verbose=0).history
        runs.append((model, history))
    eager, history = runs[0]
    assert history["skipped_steps"] == [1, 1]
    assert np.isfinite(list(history.values())).all()
    for model, other in runs[1:]:
        assert_same_variables(model, eager, atol=1e-4)  # rounding
        assert other.keys() == history.keys()
        for name, values in history.items():
            np.testing.assert_allclose(other[name], values, rtol=1e-3, err_msg=name)


@pytest.mark.slow
def test_xla_skips_among_several_steps():
    """XLA draws other noise: what it skips and what it learns are compared."""
    model = guarded(configs.optimizer(), jit_compile=True, steps_per_execution=4)
    history = model.fit(one_by_one(BAD), epochs=6, verbose=0).history
    assert history["skipped_steps"] == [1] * 6
    assert np.isfinite(list(history.values())).all()
    assert history["loss"][-1] < history["loss"][0]
    assert int(model.optimizer.iterations) == 18
    assert model.step == 24


@pytest.mark.slow
def test_taken_steps_are_those_of_an_unguarded_model():
    plain = build()
    plain.compile(configs.optimizer(), jit_compile=False)
    one = plain.fit(one_by_one(X), verbose=0).history
    model = guarded(configs.optimizer())
    two = model.fit(one_by_one(X), verbose=0).history
    assert_same_variables(model, plain, atol=1e-6)  # sums in another order
    assert two.keys() - one.keys() == {"gradient_norm", "skipped_steps"}
    for name, values in one.items():
        np.testing.assert_allclose(two[name], values, rtol=1e-5, err_msg=name)


@pytest.mark.slow
def test_an_epoch_without_any_step_is_not_a_number():
    model = guarded()
    history = model.fit(
        one_by_one(BAD[1:2]), validation_data=one_by_one(X[:1]), verbose=0
    ).history
    assert history.pop("skipped_steps") == [1]
    validation = {k: v for k, v in history.items() if k.startswith("val_")}
    assert np.isfinite(list(validation.values())).all()
    assert not {"val_gradient_norm", "val_skipped_steps"} & validation.keys()
    training = [v for k, v in history.items() if k not in validation]
    assert np.isnan(training).all()


@pytest.mark.slow
def test_a_loss_scale_goes_down_and_its_skipped_steps_are_counted():
    keras.config.set_dtype_policy("mixed_float16")
    model = guarded(configs.optimizer())
    scale = float(model.optimizer.dynamic_scale)
    assert scale > 1
    logs = model.train_on_batch(BAD[1], return_dict=True)
    assert logs["skipped_steps"] == 1
    assert float(model.optimizer.dynamic_scale) == scale / 2
    (skipped,) = model.fit(one_by_one(X), verbose=0).history["skipped_steps"]
    taken = int(model.optimizer.inner_optimizer.iterations)
    assert taken
    assert skipped == 4 - taken
    single = guarded(configs.optimizer())
    keras.config.set_dtype_policy("float32")
    exact = guarded(configs.optimizer())
    single.optimizer.dynamic_scale.assign(8.0)
    norms = [
        m.train_on_batch(X[0], return_dict=True)["gradient_norm"]
        for m in (single, exact)
    ]
    np.testing.assert_allclose(*norms, rtol=0.02)  # half precision, of the same loss


def test_what_a_loss_scale_leaves_out_is_counted_unasked():
    keras.config.set_dtype_policy("mixed_float16")
    model = build()
    model.compile(configs.optimizer(), jit_compile=False)
    logs = model.train_on_batch(BAD[1], return_dict=True)
    assert logs["skipped_steps"] == 1
    assert "skip_non_finite" not in model.get_compile_config()


@pytest.mark.slow
def test_a_keras_file_keeps_it(tmp_path):
    model = guarded(configs.optimizer())
    model.fit(one_by_one(X), verbose=0)
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    assert_same_variables(copy, model)
    config = json.loads(json.dumps(copy.get_compile_config()))
    assert config["skip_non_finite"]
    before = without_counters(copy)
    assert copy.train_on_batch(BAD[1], return_dict=True)["skipped_steps"] == 1
    assert_same_variables(without_counters(copy), before)
    model.compile(configs.optimizer(), jit_compile=False)
    assert "skip_non_finite" not in model.get_compile_config()
    assert "gradient_norm" not in model.train_on_batch(X[0], return_dict=True)


def test_a_training_step_of_another_kind_is_refused():
    model = configs.ref_vae()
    with pytest.raises(ValueError, match=r"Received: 1 devices, Adversarial\."):
        model.compile(skip_non_finite=True)
