"""Serving: what is exported runs in TensorFlow's C++ loader and answers alike."""

import resource

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import zoo
from tests import configs
from tests.serving_gate import ask, assert_serves
from zoo import serving
from zoo.bounds import Latent

tfd = tfp.distributions
networks = zoo.networks


class TwoLayerVAE(zoo.VAE):
    """z_1 -> z_2 -> x, where z_2 is z_1 and unit noise."""

    def infer(self, x, draw):
        (top,) = super().infer(x, draw)
        below = self.below(top.z)
        return [top, Latent(*draw(below), below, below)]

    def generate(self, draw):
        (top,) = super().generate(draw)
        return [top, draw(self.below(top))[0]]

    def below(self, z):
        return tfd.Independent(tfd.Normal(z, 1.0), 1)

    def likelihood(self, top, bottom):
        return super().likelihood(top - bottom / 2)


def conv_vae():
    encoder = networks.conv_encoder((28, 28, 1), filters=(16, 32), units=64)
    decoder = networks.conv_decoder(8, (28, 28, 1), filters=(32, 16), units=64)
    return zoo.VAE(encoder, decoder, latent_dim=8)


def vector_vae():
    return configs.build(shape=configs.TABLE.shape[1:], likelihood=zoo.Normal(0.5))


def noise(batch):
    return np.random.default_rng(0).random((batch, 28, 28, 1), np.float32)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A small model and the folder of its export."""
    keras.utils.set_random_seed(0)
    model = conv_vae()
    return model, serving.export(model, tmp_path_factory.mktemp("serving"))


@pytest.mark.parametrize(
    ("build", "x"),
    [
        (configs.build, configs.BINARY),
        (conv_vae, noise(5)),
        (vector_vae, configs.TABLE),
        (lambda: configs.build(TwoLayerVAE), configs.GREY),
    ],
    ids=["digits", "conv", "vector", "two_layer"],
)
def test_every_signature_answers_as_the_model_does(build, x):
    assert_serves(build(), x)


def test_a_trained_model_serves_without_its_training_state(vae, digits, tmp_path):
    vae.fit(digits, verbose=0)
    folder = serving.export(vae, tmp_path)
    stored = tf.train.list_variables(str(folder / "variables" / "variables"))
    sizes = [int(np.prod(shape)) for name, shape in stored if "weights" in name]
    assert sum(sizes) == sum(int(np.prod(w.shape)) for w in vae.trainable_weights)
    size = (folder / "variables" / "variables.data-00000-of-00001").stat().st_size
    assert size < 4 * sum(sizes) + 4096  # the object graph
    assert_serves(vae, digits)


def test_half_precision_networks_serve_float32():
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = configs.build()
    assert model.decoder.compute_dtype == "bfloat16"
    # bfloat16 keeps 8 bits, and a fused graph rounds at other places.
    assert_serves(model, configs.BINARY, rtol=2**-6)


def test_batched_samples_are_the_single_ones(served):
    seeds = np.random.default_rng(1).integers(-(2**63), 2**63 - 1, 16)
    single = [("sample", {"num_samples": np.int32(1), "seed": seed}) for seed in seeds]
    *single, batch = ask(served[1], [*single, ("sample_batched", {"seed": seeds})])
    np.testing.assert_array_equal(
        batch["x"], np.concatenate([answer["x"] for answer in single])
    )


def test_likelihood_is_streamed_over_any_number_of_samples(served):
    model, folder = served
    x, counts, seed = noise(3), np.int32([1, 33, 100]), np.int64(-1)
    inputs = [{"x": x, "num_samples": count, "seed": seed} for count in counts]
    answers = ask(folder, [("log_likelihood", each) for each in inputs])
    for count, answer in zip(counts, answers):
        want = model.log_likelihood(x, count, seed)
        # Sums of 784 pixels in float32, in another order.
        np.testing.assert_allclose(answer["log_likelihood"], want, rtol=1e-5)


def test_wrong_requests_are_refused_in_clear_words(served):
    def image(value=0.5, shape=(2, 28, 28, 1)):
        return {"x": np.full(shape, value, "float32")}

    def z(value, *shape):
        return {"z": np.full(shape, value, "float32")}

    def draw(count, seed=0):
        return {"num_samples": np.int32(count), "seed": np.int64(seed)}

    wrong_shape = "x_0_0 [2,14,56,1] is not compatible with expected shape [?,28,28,1]"
    table = [
        ("serving_default", image(shape=(2, 14, 56, 1)), wrong_shape),
        ("encode", image(shape=(28, 28)), "[28,28] is not compatible"),
        ("encode", image(shape=(0, 28, 28, 1)), "x must hold values in [0, 1]"),
        ("encode", image(255), "x must hold values in [0, 1]. Received:] [255 255"),
        ("encode", image(np.nan), "x must hold values in [0, 1]. Received:] [nan"),
        ("decode", z(0, 2, 4), "[2,4] is not compatible with expected shape [?,8]"),
        ("decode", z(np.inf, 2, 8), "z must hold finite values. Received:] [inf"),
        ("sample", draw(0), "must hold values in [1, 1024]. Received:] [0]"),
        ("sample", draw(2**31 - 1), "num_samples must hold values in [1, 1024]"),
        ("sample", draw([1, 2]), "[2] is not compatible with expected shape []"),
        ("sample", draw(1, [1, 2]), "[2] is not compatible with expected shape []"),
        ("sample_batched", {"seed": np.int64(0)}, "[] is not compatible"),
        ("log_likelihood", image(-1) | draw(1), "x must hold values in [0, 1]"),
        ("log_likelihood", image() | draw(200_000), "num_samples must hold values"),
    ]
    answers = ask(served[1], [(signature, inputs) for signature, inputs, _ in table])
    for answer, (_, _, message) in zip(answers, table):
        assert message in answer


def test_versions_count_up(tmp_path):
    (tmp_path / "7").mkdir()
    (tmp_path / "notes").touch()
    model = vector_vae()
    assert serving.export(model, tmp_path) == tmp_path / "8"
    assert serving.export(model, str(tmp_path), warmup=False) == tmp_path / "9"
    assert (tmp_path / "8" / "assets.extra").exists()
    assert not (tmp_path / "9" / "assets.extra").exists()
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize(
    ("build", "limit"),
    [(conv_vae, 100_000), (configs.build, 100_000), (configs.build, 64)],
    ids=["weights", "graph", "index"],
)
def test_a_failed_write_leaves_nothing(tmp_path, build, limit):
    model = build()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
    try:
        with pytest.raises((OSError, tf.errors.OpError)):
            serving.export(model, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())
