"""What every model must do, once for each row of the table."""

import json
import os
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability.python.internal import samplers

import zoo
from tests.configs import (
    CONFIGS,
    assert_same_variables,
    of_image,
    optimizer,
    snapshot,
)
from tests.serving_gate import assert_serves
from tests.small_models import VQVAE
from zoo import internals, presets
from zoo.draws import seed_words

# Two runs of about 16 steps of at most 0.01 that differ in rounding only.
ROUNDING = 1e-4

# Operations of one training step's graph, as TensorFlow 2.21 and Keras 3.15 trace it.
# Anew: GRAPH_SIZES=write python -m pytest -n 0 tests/test_battery.py -k one_graph
GRAPH_SIZES = Path(__file__).with_name("graph_sizes.json")


def build(row):
    """The row's model, whose weights do not depend on what was built before it."""
    keras.utils.set_random_seed(0)
    return row.build()


def train(row, epochs=2, model=None, **compile_options):
    """A fresh model after a few epochs on the row's data, and its history."""
    model = model or build(row)
    model.compile(optimizer(), **{"jit_compile": False, **compile_options})
    keras.utils.set_random_seed(1)  # the order of the batches
    history = model.fit(row.data, batch_size=32, epochs=epochs, verbose=0)
    return model, history.history


def fixed_uniform(shape, minval=0.0, maxval=1.0, dtype=tf.float32, **kwargs):
    """Uniform noise that is the same whatever the seed: quantiles, in a fixed order."""
    index = tf.cast(tf.range(1, tf.reduce_prod(shape) + 1), dtype)
    uniform = tf.math.floormod(index * 0.618034, 1.0) * 0.98 + 0.01
    return minval + (maxval - minval) * tf.reshape(uniform, shape)


def fixed_normal(shape, mean=0.0, stddev=1.0, dtype=tf.float32, **kwargs):
    """Normal noise likewise."""
    return mean + stddev * tf.math.ndtri(fixed_uniform(shape, dtype=dtype))


def assert_same_answers(one, other, row):
    """Two models answer alike, bit by bit."""
    x, given = row.parts(4)
    nats = log_weights if hasattr(one, "log_weights") else log_prob
    for answer in (nats, lambda model, *parts: model.reconstruct(*parts)):
        np.testing.assert_array_equal(answer(one, x, given), answer(other, x, given))


def log_prob(model, x, given, seed=0):
    """log p(x | given), exact or by a few importance samples."""
    if model.exact:
        return model.log_prob(x, given)
    return model.log_prob(x, given, num_importance_samples=5, seed=seed, chunk=2)


def log_weights(model, x, given, seed=0):
    return model.log_weights(x, given, num_importance_samples=5, seed=seed)


def grouped(name, *marks):
    """A row whose tests run in one process, so that they share one training."""
    return pytest.param(name, marks=[pytest.mark.xdist_group(name), *marks])


def slow_if(slow):
    """All rows, each in a group, those for which `slow(row)` holds marked so."""
    return [
        grouped(name, *[pytest.mark.slow] * slow(row._replace(name=name)))
        for name, row in CONFIGS.items()
    ]


# Exports by default, one of each kind; those of all entries and rows are `slow`.
SERVED = ("vae_dense_bernoulli", "ladder_vae", "conditional_vae", "glow", "vq_vae_2")
COMPILED = ("ladder_vae", "iaf_vae_gated")  # by XLA, likewise

light = pytest.mark.parametrize(
    "row", slow_if(lambda row: row.alike or row.deep), indirect=True
)


def traced_sizes(model):
    """The list to which every tracing of the training step adds its operations.

    Those of its loops are among them.
    """
    sizes, step = [], model.train_step

    def traced(data):
        logs = step(data)
        graph = tf.compat.v1.get_default_graph().as_graph_def()
        loops = (len(function.node_def) for function in graph.library.function)
        sizes.append(len(graph.node) + sum(loops))
        return logs

    model.train_step = traced
    return sizes


@pytest.fixture(scope="module", params=slow_if(lambda row: row.alike))
def row(request):
    return CONFIGS[request.param]._replace(name=request.param)


@pytest.fixture(scope="module")
def model_and_graphs(row):
    model = build(row)
    return model, traced_sizes(model)


@pytest.fixture(scope="module")
def trained(row, model_and_graphs):
    """One run that the tests of a row compare with; none of them changes it."""
    return train(row, model=model_and_graphs[0])


def test_fit_lowers_the_loss(trained):
    _, history = trained
    assert np.isfinite(list(history.values())).all()
    assert history["loss"][-1] < history["loss"][0]


def test_every_metric_is_what_its_name_says(row, trained):
    model, history = trained
    logs = {name: np.array(values) for name, values in history.items()}
    x, given = tf.nest.map_structure(tf.constant, row.parts(4))
    terms, metrics, *_ = model.measure(x, given, seed_words(0))
    expected = {"loss", *terms, *metrics}
    latents = isinstance(model, zoo.LatentVariableModel)
    if latents and not isinstance(model, zoo.Autoencoder):
        rates = [name.replace("z", "rate") for name in model.latent_fields]
        assert {"elbo", "rate", "distortion", *rates} <= expected
        total = sum(logs[name] for name in rates)
        np.testing.assert_allclose(logs["rate"], total, rtol=1e-5)
        elbo = -logs["distortion"] - logs["rate"]
        np.testing.assert_allclose(logs["elbo"], elbo, rtol=1e-5)
    assert logs.keys() == expected
    loss = sum(logs[name] for name in terms)
    np.testing.assert_allclose(logs["loss"], loss, rtol=1e-5)


def test_one_graph_serves_every_step_and_does_not_grow(row, trained, model_and_graphs):
    (size,) = model_and_graphs[1]  # the step is traced once
    known = json.loads(GRAPH_SIZES.read_text())
    if os.environ.get("GRAPH_SIZES") == "write":
        known[row.name] = size
        GRAPH_SIZES.write_text(json.dumps(known, indent=2) + "\n")
    assert size <= 1.1 * known[row.name]  # versions of Keras differ by a few


def test_shapes(row, trained):
    model, _ = trained
    x, given = row.parts(4)
    codes = model.encode(x, given)
    made_of = of_image(model, given)
    assert model.decode(*codes, given=made_of).shape == x.shape
    assert model.reconstruct(x, given).shape == x.shape
    assert model.sample(4, made_of).shape == x.shape
    assert log_prob(model, x, given).shape == (4,)
    if isinstance(model, zoo.LatentVariableModel):
        for code, field in zip(codes, model.latent_fields.values(), strict=True):
            assert code.shape == (4, *field.shape)
            assert code.dtype == field.dtype
        assert log_weights(model, x, given).shape == (5, 4)


def test_answers_are_finite_and_repeat_with_their_seed(row, trained):
    model, _ = trained
    x, given = row.parts(4)
    of_points = isinstance(
        model, zoo.Autoencoder | zoo.VQVAE | VQVAE
    )  # the code of x is a point
    draws_z = not (model.exact or of_points)
    answers = [
        (lambda seed: model.sample(4, of_image(model, given), seed=seed), True),
        (lambda seed: log_prob(model, x, given, seed), draws_z),
    ]
    if isinstance(model, zoo.LatentVariableModel):
        answers += [(lambda seed: log_weights(model, x, given, seed), draws_z)]
    for answer, random in answers:
        one, again, other = answer(7), answer(7), answer(8)
        assert np.isfinite(one).all()
        np.testing.assert_array_equal(one, again)
        assert np.array_equal(one, other) != random


def test_preset_round_trip(trained, tmp_path):
    """That config and weights give the same answers, a Keras file shows below."""
    model, _ = trained
    copy = zoo.load(presets.save(model, tmp_path))
    assert type(copy) is type(model)
    assert json.dumps(copy.get_config()) == json.dumps(model.get_config())
    for one, other in zip(copy.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "row", slow_if(lambda row: row.name not in SERVED), indirect=True
)
def test_the_export_serves(row, trained):
    model, _ = trained
    assert_serves(model, row.first(5).data)


@light
def test_training_repeats_with_its_seed(row):
    small = row.first(64)
    one, _ = train(small, epochs=1, run_eagerly=True)
    two, _ = train(small, epochs=1, run_eagerly=True)
    assert_same_variables(one, two, atol=1e-6)  # threads may add in another order


@light
def test_steps_per_execution_changes_nothing(row, trained):
    model, history = trained
    if model.steps_per_execution == 1:  # by default, as its graph is large
        model, history = train(row, steps_per_execution=2)
    single, single_history = train(row, steps_per_execution=1)
    assert_same_variables(model, single, atol=ROUNDING)
    np.testing.assert_allclose(history["loss"], single_history["loss"], rtol=1e-4)


@pytest.mark.parametrize(
    "row",
    slow_if(lambda row: row.name not in COMPILED),
    indirect=True,
)
def test_xla_changes_nothing(row, monkeypatch):
    """With the noise held fixed, as XLA draws other numbers from the same seed."""
    monkeypatch.setattr(samplers, "normal", fixed_normal)
    monkeypatch.setattr(samplers, "uniform", fixed_uniform)
    small = row.first(64)
    plain, plain_history = train(small, run_eagerly=True)
    compiled, compiled_history = train(small, jit_compile=True, steps_per_execution=2)
    assert_same_variables(compiled, plain, atol=ROUNDING)
    np.testing.assert_allclose(
        compiled_history["loss"], plain_history["loss"], rtol=1e-4
    )


@light
def test_bfloat16_networks_stay_finite(row):
    keras.config.set_dtype_policy("mixed_bfloat16")
    model, history = train(row.first(64), epochs=1, run_eagerly=True)
    policies = {layer.dtype_policy.name for layer in internals.layers_of(model)}
    assert "mixed_bfloat16" in policies or row.name == "real_nvp"  # a head as a whole
    assert np.isfinite(history["loss"]).all()
    assert all(np.isfinite(value).all() for value in snapshot(model).values())
    assert model.reconstruct(*row.parts(2)).dtype == model.fields["x"].dtype


def test_keras_file_round_trip(row, trained, tmp_path):
    model, _ = trained
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    assert type(copy) is type(model)
    assert_same_variables(copy, model)
    assert_same_answers(copy, model, row)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda x: x * np.nan, "finite"),
        (lambda x: x[..., None], "shape"),
        (lambda x: x[:0], "empty"),
        (lambda x: (255 * x).astype("uint8"), "divide 8-bit images by 255"),
    ],
    ids=["nan", "shape", "empty", "uint8"],
)
def test_bad_data_is_refused(row, trained, spoil, message):
    model, _ = trained
    before = snapshot(model)
    x, given = row.parts(8)
    for name, part in {"x": x, **given}.items():
        if part.dtype.kind == "f" or message in ("shape", "empty"):
            bad = {"x": x, **given, name: spoil(part)}
            sources = [bad] if given else [bad, bad["x"]]
            for source in sources:
                for use in (model.fit, model.evaluate, model.predict):
                    with pytest.raises(ValueError, match=message):
                        use(source)
            with pytest.raises(ValueError, match=message):
                model.reconstruct(bad.pop("x"), bad)
    assert_same_variables(model, before)
