"""Evaluation: whole data sets against closed forms and hand averages."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from benchmarks import precision
from recipes import datasets
from tests import configs
from tests.configs import LinearGaussian
from zoo import evaluation
from zoo.draws import batch_seed
from zoo.evaluation.likelihood import batches


@pytest.mark.parametrize("options", [{}, {"batch_size": 4}, {"chunk": 3}])
def test_log_prob_is_exact_for_the_exact_posterior(options):
    linear = LinearGaussian.make(orthogonal=True)
    x = linear.data(10)
    estimate = evaluation.log_prob(
        linear.model(), x, num_importance_samples=8, verbose=0, **options
    )
    np.testing.assert_allclose(estimate, linear.marginal.logpdf(x), rtol=1e-4)


@pytest.mark.parametrize(("num_samples", "chunk"), [(7, 4), (8, 4), (3, 32), (1, 1)])
def test_every_sample_counts_once(num_samples, chunk):
    """exp(estimate) is unbiased: 8 samples counted as 7 would be 14% too much."""
    linear = LinearGaussian.make(orthogonal=True, data_dim=2)
    x = np.tile(linear.data(1), (4000, 1))
    estimate = linear.model("wrong").log_prob(
        x, num_importance_samples=num_samples, chunk=chunk
    )
    ratio = np.exp(estimate - linear.marginal.logpdf(x))
    error = ratio.std() / np.sqrt(len(ratio))
    assert 0 < error < 0.05
    assert abs(ratio.mean() - 1) < 4 * error


def test_conditions_keep_their_types_in_any_order():
    fields = {
        "x": zoo.Field((2,)),
        "label": zoo.Field((), "int32"),
        "pose": zoo.Field(()),
    }
    model = SimpleNamespace(fields=fields, check=lambda data: None)
    given = {"pose": np.float32([0.5, 1.5, 2.5]), "label": np.arange(3)}
    *_, (x, rows) = batches(model, np.ones((3, 2), "float32"), given, batch_size=2)
    assert x.shape == (1, 2)
    assert (rows["label"].dtype, int(rows["label"][0])) == (tf.int32, 2)
    assert (rows["pose"].dtype, float(rows["pose"][0])) == (tf.float32, 2.5)


@pytest.fixture
def eager_functions():
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.parametrize("cls", [zoo.VAE, zoo.LadderVAE, zoo.HierarchicalVAE])
def test_an_image_is_encoded_once_for_all_its_samples(cls, digits, eager_functions):
    runs = []

    class Counter(keras.layers.Layer):
        def call(self, x):
            runs.append(x)
            return x

    encoder, decoder = (make(configs.IMAGE) for make in configs.NETWORKS["dense"])
    layers = () if cls is zoo.VAE else ((2,), (8,))
    encoder = keras.Sequential([encoder, Counter()])
    model = cls(encoder, decoder, configs.LATENT_DIM, *layers)
    model.encode(digits)
    runs.clear()
    model.log_prob(digits, num_importance_samples=6, chunk=2)
    assert len(runs) == 1
    model.features(digits, {})
    assert len(runs) == 2  # nothing is kept for later


def test_a_model_is_traced_once_for_all_its_evaluations(vae, digits, monkeypatch):
    traces, likelihood = [], vae.likelihood
    monkeypatch.setattr(
        vae, "likelihood", lambda *args: traces.append(args) or likelihood(*args)
    )
    options = {"num_importance_samples": 5, "batch_size": 32, "verbose": 0}
    for seed in (1, 2):
        evaluation.log_prob(vae, digits, seed=seed, **options)
    assert len(traces) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", precision.ENTRIES)
def test_bfloat16_networks_give_a_trained_model_the_same_nll(name):
    model = zoo.load(name)
    half = evaluation.with_dtype(model, "mixed_bfloat16")
    x = datasets.binarise(datasets.load("mnist").test[:1000])
    expected, found = (
        evaluation.log_prob(m, x, num_importance_samples=10, verbose=0)
        for m in (model, half)
    )
    assert half.decoder.compute_dtype == "bfloat16"
    assert found.dtype == "float32"
    # A difference has a deviation of 0.06 to 0.07 nats, so their mean one of 0.002.
    assert 0 < abs(found.mean() - expected.mean()) < 0.02


def test_another_dtype_is_of_the_networks_of_a_copy_alone(digits):
    model = configs.ladder(zoo.LadderVAE)
    half = evaluation.with_dtype(model, "mixed_bfloat16")
    assert keras.config.dtype_policy().name == "float32"
    assert model.decoder.compute_dtype == "float32"
    for network in (half.encoder, half.decoder):
        assert network.compute_dtype == "bfloat16"
    assert half.posterior_head.compute_dtype == "float32"
    again = evaluation.with_dtype(half, "float32")
    log_w, changed, same = (m.log_weights(digits[:2]) for m in (model, half, again))
    assert changed.dtype == tf.float32
    assert not np.array_equal(changed, log_w)
    np.testing.assert_array_equal(same, log_w)


@pytest.mark.parametrize("dtype", ["bfloat16", "float7"])
def test_a_dtype_that_would_lose_weights_is_refused(vae, dtype):
    with pytest.raises(ValueError, match=dtype):
        evaluation.with_dtype(vae, dtype)


def test_log_prob_repeats_with_its_seed():
    linear = LinearGaussian.make(orthogonal=True)
    model, x = linear.model("wrong"), linear.data(6)
    options = {"num_importance_samples": 5, "batch_size": 4, "verbose": 0}
    one, again, other = (
        evaluation.log_prob(model, x, seed=seed, **options) for seed in (1, 1, 9)
    )
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)
    assert one.shape == (6,)


def test_progress_shows_the_mean_so_far(capsys):
    linear = LinearGaussian.make(orthogonal=True)
    model, x = linear.model(), linear.data(40) + np.arange(40, dtype="float32")[:, None]
    estimate = evaluation.log_prob(
        model, x, num_importance_samples=2, batch_size=10, verbose=1
    )
    shown = float(capsys.readouterr().out.split("nats: ")[-1].split()[0])
    assert shown == pytest.approx(estimate.mean(), abs=1e-3)
    evaluation.log_prob(model, x, num_importance_samples=2, verbose=0)
    assert capsys.readouterr().out == ""


def test_information_by_hand():
    """loc = (x_0, 0) and scale 1.1: one unit is used, the other has collapsed."""
    linear = LinearGaussian.make(orthogonal=True)
    model, x = linear.model("wrong"), linear.data(30)
    kernel, bias = model.posterior_head.get_weights()
    kernel[0, 0] = 1.0
    model.posterior_head.set_weights([kernel, bias])
    result = evaluation.information(model, x, num_samples=500, batch_size=7)
    fixed = -np.log(1.1) + (1.1**2 - 1) / 2
    rate = 2 * fixed + (x[:, 0] ** 2 / 2).mean()
    np.testing.assert_allclose(result["rate"], rate, rtol=1e-4)
    assert "rate_1" not in result  # one layer: its rate is the rate
    # E|x - W z - b|^2 in closed form
    mean = np.stack([x[:, 0], 0 * x[:, 0]], axis=1) @ linear.weights + linear.bias
    spread = 1.1**2 * (linear.weights**2).sum()
    square = ((x - mean) ** 2).sum(-1).mean() + spread
    variance = linear.sigma**2
    distortion = 5 / 2 * np.log(2 * np.pi * variance) + square / (2 * variance)
    np.testing.assert_allclose(result["distortion"], distortion, rtol=0.02)
    assert result["elbo"] == pytest.approx(-(result["rate"] + result["distortion"]))
    assert result["active_units"] == [1]


def test_active_units_threshold():
    linear = LinearGaussian.make(orthogonal=True)
    model, x = linear.model(), linear.data(50)
    variances = np.sort(model.encode(x)[0].numpy().var(axis=0))
    for threshold, expected in (
        (variances[0] * 0.9, 2),
        (variances.mean(), 1),
        (variances[1] * 1.1, 0),
    ):
        result = evaluation.information(model, x, threshold=threshold)
        assert result["active_units"] == [expected]


@pytest.mark.parametrize("evaluate", [evaluation.log_prob, evaluation.information])
def test_bad_images_are_refused(evaluate):
    model = LinearGaussian.make(orthogonal=True).model()
    with pytest.raises(ValueError, match="finite"):
        evaluate(model, np.full((3, 5), np.nan, "float32"))
    with pytest.raises(ValueError, match="empty"):
        evaluate(model, np.zeros((0, 5), "float32"))


@pytest.mark.slow
def test_the_rates_of_the_layers_add_up_and_bear_their_names(digits):
    result = evaluation.information(configs.ladder(zoo.LadderVAE), digits)
    rates = [result["rate_2"], result["rate_1"]]
    assert list(result)[3:5] == ["rate_2", "rate_1"]  # top first
    assert min(rates) > 0
    assert result["rate"] == pytest.approx(sum(rates), rel=1e-5)
    assert len(result["active_units"]) == 2


@pytest.mark.parametrize("labels", [False, True])
def test_data_sets_give_what_arrays_give(vae, digits, labels):
    batches = tf.data.Dataset.from_tensor_slices(digits).batch(24)
    if labels:
        batches = batches.map(lambda x: (x, tf.zeros(len(x))))
    for evaluate, options in (
        (evaluation.log_prob, {"num_importance_samples": 2, "verbose": 0}),
        (evaluation.encode, {}),
    ):
        expected = evaluate(vae, digits, batch_size=24, **options)
        np.testing.assert_array_equal(evaluate(vae, batches, **options), expected)


def test_codes_of_a_data_set_are_those_of_its_images(digits):
    ladder = configs.ladder(zoo.LadderVAE)
    codes = evaluation.encode(ladder, digits, batch_size=24)
    for code, expected in zip(codes, ladder.encode(digits), strict=True):
        # Matrix products of another size may round differently.
        np.testing.assert_allclose(code, expected, atol=1e-5)


def test_batches_share_no_noise_with_those_of_another_seed():
    seeds = {int(batch_seed(seed, index)) for seed in range(9) for index in range(9)}
    assert len(seeds) == 81
    assert not seeds & set(range(100))
