"""Serving: what is exported runs in TensorFlow's C++ loader and answers alike."""

import io
import re
import resource

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from PIL import Image

import zoo
from recipes import datasets, publish
from tests import configs
from tests.image_files import BAD, encoded
from tests.serving_gate import (
    ask,
    assert_answers,
    assert_serves,
    read_meta_graph,
    table_of,
)
from zoo import serving

tfd = tfp.distributions
networks = zoo.networks

DRAWS = "num_importance_samples"


class TwoLayerVAE(zoo.VAE):
    """z_2 -> z_1 -> x, where z_1 is z_2 and noise that is not normal."""

    def walk(self, draw, features=None, given=None):
        top = super().walk(draw, features, given)
        below = tfd.Independent(tfd.Laplace(top, 1.0), 1)
        bottom = draw(below, None if features is None else below)
        return top - bottom / 2


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
    model, folder = conv_vae(), tmp_path_factory.mktemp("serving")
    return model, serving.export(model, folder, rarity=table_of(model, noise(5)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "x"),
    [
        (configs.build, configs.BINARY),
        pytest.param(conv_vae, noise(5), marks=pytest.mark.slow),
        pytest.param(vector_vae, configs.TABLE, marks=pytest.mark.slow),
        pytest.param(
            lambda: configs.build(TwoLayerVAE), configs.GREY, marks=pytest.mark.slow
        ),
    ],
    ids=["digits", "conv", "vector", "two_layer"],
)
def test_every_signature_answers_as_the_model_does(build, x):
    assert_serves(build(), x)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) for name in zoo.list_presets()],
)
def test_a_shipped_export_answers_as_its_entry_does(name):
    record = zoo.presets.read_metadata(name)
    try:
        data, images = publish.test_images(record)
    except datasets.DatasetUnavailable as error:
        pytest.skip(str(error))
    model, folder = zoo.load(name), zoo.presets.find(name) / "serving" / "1"
    rows = {"x": images[:5], **data.given(model, "test", 5)}
    assert_answers(folder, model, rows, record["rarity"])


@pytest.mark.slow
def test_a_trained_model_serves_without_its_training_state(vae, digits, tmp_path):
    vae.fit(digits, verbose=0)
    folder = serving.export(vae, tmp_path)
    stored = tf.train.list_variables(str(folder / "variables" / "variables"))
    sizes = [int(np.prod(shape)) for name, shape in stored if "weights" in name]
    assert sum(sizes) == sum(int(np.prod(w.shape)) for w in vae.trainable_weights)
    size = (folder / "variables" / "variables.data-00000-of-00001").stat().st_size
    assert size < 4 * sum(sizes) + 4096  # the object graph
    assert_serves(vae, digits)


@pytest.mark.slow
def test_half_precision_networks_serve_float32():
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = configs.build()
    assert model.decoder.compute_dtype == "bfloat16"
    # bfloat16 keeps 8 bits, and a fused graph rounds at other places.
    assert_serves(model, configs.BINARY, rtol=2**-6)


def test_batched_samples_are_the_single_ones(served):
    seeds = np.random.default_rng(1).integers(-(2**63), 2**63 - 1, 16)
    single = [("sample", {"n": np.int32(1), "seed": seed}) for seed in seeds]
    *single, batch = ask(served[1], [*single, ("sample_batched", {"seed": seeds})])
    want = np.concatenate([answer["x"] for answer in single])
    np.testing.assert_allclose(batch["x"], want, rtol=0, atol=1e-5 * want.max())
    assert len(np.unique(batch["x"], axis=0)) == 16


def test_seeds_of_images_are_as_many_as_images(served):
    with pytest.raises(ValueError, match=r"one for each image.*2 of them, n=3"):
        served[0].sample(3, seed=np.int64([1, 2]))


def log_prob(x, draws, seed):
    """A request for `log_prob`, or with a seed of each row for its batched twin."""
    name = "log_prob_batched" if np.ndim(seed) else "log_prob"
    draws = np.broadcast_to(np.int32(draws), np.shape(seed))
    return name, {"x": x, DRAWS: draws, "seed": np.int64(seed)}


def test_batched_log_prob_does_not_depend_on_its_batch(served):
    x, draws, seeds = noise(4), np.int32([1, 5, 33, 1500]), np.int64([7, -1, 7, 2**40])
    single = [log_prob(x[i : i + 1], draws[i], seeds[i]) for i in range(4)]
    batch = log_prob(x, draws, seeds)
    turned = log_prob(x[::-1], draws[::-1], seeds[::-1])
    *single, batch, turned = ask(served[1], [*single, batch, turned])
    want = np.concatenate([answer["log_prob"] for answer in single])
    np.testing.assert_array_equal(batch["log_prob"], want)
    np.testing.assert_array_equal(turned["log_prob"], want[::-1])


def test_an_anomaly_score_does_not_depend_on_its_batch(served):
    x = noise(4)
    table = [("anomaly_score", {"x": rows}) for rows in (x, x[::-1], *x[:, None])]
    batch, turned, *single = (row["anomaly_score"] for row in ask(served[1], table))
    np.testing.assert_array_equal(batch, np.concatenate(single))
    np.testing.assert_array_equal(batch, turned[::-1])
    assert 0 <= batch.min() < batch.max() <= 1


def test_files_are_what_pillow_reads_in_them(tmp_path):
    model = vae_of_colours()
    folder, rng = serving.export(model, tmp_path), np.random.default_rng(0)
    colours = rng.integers(0, 256, (8, 8, 3)).astype("uint8")
    smooth = np.broadcast_to(np.uint8(30 * np.arange(8))[:, None], (8, 8))
    see_through = np.concatenate([colours, np.zeros((8, 8, 1), "uint8")], axis=-1)
    files = [encoded(pixels, "PNG") for pixels in (colours, smooth, see_through)]
    seen = [colours, np.stack([smooth] * 3, axis=-1), colours]
    files.append(encoded(smooth, "JPEG"))
    seen.append(np.stack([Image.open(io.BytesIO(files[-1]))] * 3, axis=-1))
    request = {"image_bytes": np.array(files, object)}
    (answer,) = ask(folder, [("reconstruct_bytes", request)])
    want = model.reconstruct(np.float32(seen) / 255)
    assert answer.keys() == {"reconstruction"}  # without a table there is no score
    np.testing.assert_allclose(answer["reconstruction"][:3], want[:3], atol=1e-5)
    # Decoders of JPEG may round a pixel to the next of 256 levels.
    np.testing.assert_allclose(answer["reconstruction"][3], want[3], atol=1e-3)


def vae_of_colours():
    shape = (8, 8, 3)
    encoder = networks.dense_encoder(shape, units=(16,))
    return zoo.VAE(encoder, networks.dense_decoder(4, shape, units=(16,)), latent_dim=4)


def test_files_that_are_no_such_image_are_refused(tmp_path):
    folder = serving.export(configs.build(), tmp_path)
    good = encoded(np.zeros((8, 8), "uint8"), "PNG")
    requests = [
        ("reconstruct_bytes", {"image_bytes": np.array([good, file], object)})
        for file, _ in BAD
    ]
    for answer, (_, message) in zip(ask(folder, requests), BAD):
        assert message in answer


def test_models_of_other_than_images_take_no_files():
    for model in (vector_vae(), configs.pixelcnn(), configs.build(shape=(8, 8, 2))):
        assert "reconstruct_bytes" not in serving._signatures(model)


@pytest.mark.parametrize(
    "table", [{}, {"quantiles": [1.0]}, {"quantiles": [0.0] * 101}, "rare"]
)
def test_a_table_of_something_else_is_refused(table, tmp_path):
    with pytest.raises(ValueError, match=r"a table of `zoo.evaluation.rarity` for"):
        serving.export(configs.build(), tmp_path, rarity=table)
    assert not list(tmp_path.iterdir())


def test_log_prob_is_streamed_over_any_number_of_draws(served):
    model, folder = served
    x, counts, seed = noise(3), np.int32([1, 33, 100, 700]), np.int64(-1)
    answers = ask(folder, [log_prob(x, count, seed) for count in counts])
    for count, answer in zip(counts, answers):
        options = {DRAWS: count, "seed": seed, "chunk": serving.DRAWS_AT_A_TIME // 3}
        want = model.log_prob(x, **options)
        # Sums of 784 pixels in float32, in another order.
        np.testing.assert_allclose(answer["log_prob"], want, rtol=1e-5)


@pytest.mark.parametrize(
    ("rows", "draws"), [(1, 2000), (3, 700), (256, 9), (1000, 2)], ids=str
)
def test_log_prob_decodes_no_more_at_a_time_and_no_more_at_all(
    rows, draws, monkeypatch
):
    model, decoded = configs.build(), []
    function, _ = serving._signatures(model)["log_prob"]
    likelihood = model.likelihood
    monkeypatch.setattr(
        *(model, "likelihood"),
        lambda out, given: decoded.append(len(out)) or likelihood(out, given),
    )
    tf.config.run_functions_eagerly(True)
    try:
        x = np.tile(configs.BINARY[:1], (rows, 1, 1, 1))
        function(x, seed=tf.constant(0), num_importance_samples=tf.constant(draws))
    finally:
        tf.config.run_functions_eagerly(False)
    assert max(decoded) <= serving.DRAWS_AT_A_TIME
    assert sum(decoded) == rows * draws


def test_wrong_requests_are_refused_in_clear_words(served):
    def image(value=0.5, shape=(2, 28, 28, 1)):
        return {"x": np.full(shape, value, "float32")}

    def z(value, *shape):
        return {"z": np.full(shape, value, "float32")}

    def sample(n, seed=0):
        return {"n": np.int32(n), "seed": np.int64(seed)}

    def draws(count, seed=0, rows=2):
        return log_prob(noise(rows), count, seed)

    wrong_shape = "x_0_0 [2,14,56,1] is not compatible with expected shape [?,28,28,1]"
    one_bad = np.concatenate([noise(3), 255 + noise(1)])
    together = "num_importance_samples of all rows together must be at most 500000"
    table = [
        ("serving_default", image(shape=(2, 14, 56, 1)), wrong_shape),
        ("encode", image(shape=(28, 28)), "[28,28] is not compatible"),
        ("anomaly_score", image(np.nan), "x must hold values in [0, 1]. Received:"),
        ("encode", image(255), "x must hold values in [0, 1]. Received:] [255 255"),
        ("encode", image(np.nan), "x must hold values in [0, 1]. Received:] [nan"),
        ("encode", {"x": one_bad}, "x must hold values in [0, 1]. Received:] [255"),
        ("decode", z(0, 2, 4), "[2,4] is not compatible with expected shape [?,8]"),
        ("decode", z(np.inf, 2, 8), "z must hold finite values. Received:] [inf"),
        ("sample", sample(0), "n must hold values in [1, 1024]. Received:] [0]"),
        ("sample", sample(2**31 - 1), "n must hold values in [1, 1024]"),
        ("sample", sample([1, 2]), "[2] is not compatible with expected shape []"),
        ("sample", sample(1, [1, 2]), "[2] is not compatible with expected shape []"),
        ("sample_batched", {"seed": np.int64(0)}, "[] is not compatible"),
        ("log_prob", draws(1)[1] | image(-1), "x must hold values in [0, 1]"),
        (*draws(0), "num_importance_samples must hold values in [1, 500000]"),
        (*draws(500_001), "num_importance_samples must hold values in [1, 500000]"),
        (*draws(2000, rows=256), f"{together}. Received:] [512000]"),
        (*draws(500_000, rows=1024), f"{together}. Received:] [5.12e+08]"),
        (*draws([499_000, 1001], [0, 0]), f"{together}. Received:] [500001]"),
        (*draws([1, 0], [0, 0]), "num_importance_samples must hold values in [1, "),
        (*draws([1] * 3, [0] * 3), "seed must have 1 to 1024 rows, as many as"),
    ]
    answers = ask(served[1], [(signature, inputs) for signature, inputs, _ in table])
    for answer, (_, _, message) in zip(answers, table):
        assert message in answer


def test_every_signature_refuses_an_empty_batch_and_one_too_large(served):
    def requests(rows):
        x, seeds = np.zeros((rows, 28, 28, 1), "float32"), np.zeros(rows, "int64")
        return [
            ("serving_default", {"x": x}),
            ("encode", {"x": x}),
            ("anomaly_score", {"x": x}),
            ("reconstruct_bytes", {"image_bytes": np.array([b""] * rows, object)}),
            ("decode", {"z": np.zeros((rows, 8), "float32")}),
            ("sample_batched", {"seed": seeds}),
            log_prob(x, 1, 0),
            log_prob(x, 1, seeds),
            ("sample", {"n": np.int32(rows), "seed": np.int64(0)}),
        ]

    answers = iter(ask(served[1], [*requests(0), *requests(1025)]))
    for rows in (0, 1025):
        message = rf"must have 1 to 1024 rows.* Received:\] \[{rows}\]"
        assert all(re.search(message, next(answers)) for _ in range(8))
        wanted = f"n must hold values in [1, 1024]. Received:] [{rows}]"
        assert wanted in next(answers)


def test_answers_that_are_not_finite_are_refused(tmp_path):
    model = vector_vae()
    model.decoder.set_weights([1e4 * weight for weight in model.decoder.get_weights()])
    z = np.zeros((2, configs.LATENT_DIM), "float32")
    z[1] = 1e36
    (answer,) = ask(serving.export(model, tmp_path), [("decode", {"z": z})])
    assert re.search(
        r"mean of these inputs is not finite. Received:\] \[-?(nan|inf)", answer
    )


def graph_size(model):
    """Bytes of the graph behind `log_prob`."""
    function = serving._traced(*serving._signatures(model)["log_prob"])
    return function.graph.as_graph_def().ByteSize()


def test_graphs_hold_no_masks():
    def size(units):
        return graph_size(configs.build(zoo.IAFVAE, steps=2, units=(units, units)))

    bits = 2 * 512 * 512  # one for each weight between the hidden layers
    assert size(512) - size(64) < bits / 8


@pytest.mark.slow
def test_nodes_have_short_names_and_no_others_beside_them(served):
    _, folder = served
    functions = read_meta_graph(folder).graph_def.library.function
    for function in functions:
        names = [node.name for node in function.node_def]
        names += [argument.name for argument in function.signature.input_arg]
        assert len(set(names)) == len(names)
        assert max(map(len, names)) <= 5
    assert not (folder / "fingerprint.pb").exists()


def test_graphs_grow_with_the_parts_of_a_flow_and_not_with_their_square():
    def size(layers):
        prior = zoo.FlowPrior(configs.LATENT_DIM, layers=layers, units=8)
        return graph_size(configs.build(prior=prior))

    two, six, ten = size(2), size(6), size(10)
    assert ten - six < 1.1 * (six - two)


def test_versions_count_up(tmp_path):
    (tmp_path / "7").mkdir()
    (tmp_path / "notes").touch()
    model = vector_vae()
    assert model.export(tmp_path) == tmp_path / "8"  # as in Keras
    assert serving.export(model, str(tmp_path), warmup=False) == tmp_path / "9"
    assert (tmp_path / "8" / "assets.extra").exists()
    assert not (tmp_path / "9" / "assets.extra").exists()
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize(
    ("build", "limit"),
    [
        pytest.param(conv_vae, 100_000, marks=pytest.mark.slow, id="weights"),
        pytest.param(configs.build, 100_000, id="graph"),
        pytest.param(configs.build, 64, marks=pytest.mark.slow, id="index"),
    ],
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
