"""The gate that every export passes: one answer in Python, loaded, and served."""

import functools
import os
import pickle
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import op_def_registry
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

import zoo
from tests.configs import of_image
from zoo import image_files, serving

ROOT = Path(__file__).parent.parent
BATCHABLE = {"serving_default", "encode", "decode", "sample_batched", "anomaly_score"}

# Operations with state that a signature may hold: they read variables, check inputs,
# call functions. Random operations with state, assignments and Python are not here.
MAY_BE_STATEFUL = {"VarHandleOp", "ReadVariableOp", "Assert"}
MAY_BE_STATEFUL |= {"StatefulPartitionedCall", "While", "If"}


def assert_serves(model, data, rtol=1e-5):
    """Exports the model and asserts that a server could run every signature.

    Args:
        model: the model.
        data: x, or a dict of `x` and the conditions: at least five rows.
        rtol: as for `assert_answers`.
    """
    data = data if isinstance(data, dict) else {"x": data}
    rarity = table_of(model, data)
    with tempfile.TemporaryDirectory() as base:
        folder = serving.export(model, base, rarity=rarity)
        assert_answers(folder, model, data, rarity, rtol)


def assert_answers(folder, model, data, rarity, rtol=1e-5):
    """Asserts that an export's every signature answers as the model does in Python.

    It is loaded by TensorFlow's Python, and in another process as by a server.

    Args:
        folder: the exported version.
        model: the model.
        data: a dict of `x` and the conditions: at least five rows.
        rarity: the table that it was exported with.
        rtol: largest error of an answer, relative to its largest value. Compiled
            graphs fuse and order sums differently; half-precision networks need more.
    """
    batchable = BATCHABLE | {"log_prob" if model.exact else "log_prob_batched"}
    if image_files.takes_files(model.fields["x"]):
        batchable |= {"reconstruct_bytes"}
    assert_servable_graph(folder, batchable | {"sample", "log_prob"})
    warmup = read_warmup(folder)
    batches = (1, 2, 5)
    table = [row for n in batches for row in examples(model, data, n, rarity)]
    requests, expected = zip(*table)
    seeds = np.int64([5, 5 + 2**32])  # alike in their lower 32 bits
    sample = dict(requests[:5])["sample"]
    draws = [("sample", sample | {"seed": seed}) for seed in seeds]
    answers = iter(ask(folder, [*requests, *requests, *draws, *warmup]))
    first = [next(answers) for _ in requests]
    in_python = ask_python(folder, requests)
    for (name, _), *both, want in zip(requests, first, in_python, expected):
        for got in both:
            assert isinstance(got, dict), f"{name}: {got}"
            assert got.keys() == want.keys(), f"{name}: {list(got)}"
            for key, value in want.items():
                atol = rtol * largest(key, value, rarity)
                np.testing.assert_allclose(got[key], value, 0, atol, err_msg=name)
                assert got[key].dtype == value.numpy().dtype, f"{name}: {key}"
    for (name, _), got in zip(requests, first):
        again = next(answers)
        for key, value in got.items():
            np.testing.assert_array_equal(again[key], value, err_msg=f"{name} repeated")
    one, other = next(answers), next(answers)
    assert not np.array_equal(one["x"], other["x"]), "two seeds, one sample"
    assert {name for name, _ in warmup} == batchable
    for (name, _), answer in zip(warmup, answers, strict=True):
        assert isinstance(answer, dict), f"warm-up of {name}: {answer}"


def largest(name, value, rarity):
    """The largest value of an answer; of a score, what its nats are at most worth."""
    if name != "anomaly_score":
        return np.abs(value).max()
    quantiles = np.array(rarity["quantiles"])
    return np.abs(quantiles).max() / 100 / np.diff(quantiles).min()


def table_of(model, data):
    """A table of quantiles so far apart that scores are as exact as their nats."""
    data = dict(data) if isinstance(data, dict) else {"x": data}
    table = zoo.evaluation.rarity(model, data.pop("x"), data, num_importance_samples=3)
    middle, size = table["quantiles"][50], np.abs(table["quantiles"]).max()
    quantiles = np.linspace(middle - size, middle + size, 101)
    return table | {"quantiles": quantiles.tolist()}


def examples(model, data, batch, rarity):
    """One request and the eager model's answer for each signature, for `batch` rows."""

    def part(rows):
        given = {name: value[rows] for name, value in data.items()}
        return given.pop("x"), given

    x, given = part(slice(batch))
    inputs, rows = {"x": x, **given}, [part(slice(i, i + 1)) for i in range(batch)]
    seed, seeds = np.int64(batch), batch + np.arange(batch)
    moments = model.moments(x, given)
    names = model.latent_names(len(moments))
    codes = {name: mean for name, (mean, _) in zip(names, moments)}
    stddevs = {f"{name}_stddev": stddev for name, (_, stddev) in zip(names, moments)}
    stddevs = {name: stddev for name, stddev in stddevs.items() if stddev is not None}
    made_of = of_image(model, given)
    mean = model.decode(*codes.values(), given=made_of)
    images = model.sample(batch, made_of, seed=seed)
    single = [
        model.sample(1, of_image(model, given), seed=s)
        for (_, given), s in zip(rows, seeds)
    ]
    scalars = {"seed": seed} | (made_of or {"n": np.int32(batch)})
    table = [
        ("serving_default", inputs, {"reconstruction": model.reconstruct(x, given)}),
        ("encode", inputs, codes | stddevs),
        ("decode", codes | made_of, {"mean": mean}),
        ("sample", scalars, {"x": images}),
        ("sample_batched", {"seed": seeds} | made_of, {"x": tf.concat(single, axis=0)}),
    ]
    score = zoo.evaluation.anomaly_score(model, x, rarity, given)
    table.append(("anomaly_score", inputs, {"anomaly_score": tf.constant(score)}))
    if image_files.takes_files(model.fields["x"]):
        pixels = np.uint8(np.clip(255 * x, 0, 255))
        files = [tf.io.encode_png(image).numpy() for image in pixels]
        seen = np.float32(pixels) / 255
        score = zoo.evaluation.anomaly_score(model, seen, rarity, given)
        answer = {
            "reconstruction": model.reconstruct(seen, given),
            "anomaly_score": tf.constant(score),
        }
        files = {image_files.IMAGE_BYTES: np.array(files, object)}
        table.append(("reconstruct_bytes", files | given, answer))
    if model.exact:
        table.append(("log_prob", inputs, {"log_prob": model.log_prob(x, given)}))
    else:
        draws = {"num_importance_samples": np.int32(batch)}
        nats = model.log_prob(x, given, seed=seed, **draws)
        single = [model.log_prob(*row, seed=s, **draws) for row, s in zip(rows, seeds)]
        each = {"num_importance_samples": np.full(batch, batch, "int32")}
        table += [
            ("log_prob", {"seed": seed} | inputs | draws, {"log_prob": nats}),
            (
                "log_prob_batched",
                {"seed": seeds} | inputs | each,
                {"log_prob": tf.concat(single, axis=0)},
            ),
        ]
    return [((name, inputs), answer) for name, inputs, answer in table]


def ask(folder, requests):
    """Answers of a process without Python TensorFlow: arrays by name, or text.

    A request is the name of a signature and its inputs by name. The process serves all
    models of a test run, one after another.
    """
    signatures = read_meta_graph(folder).signature_def
    calls = []
    for name, inputs in requests:
        tensors = signatures[name].inputs
        feeds = {tensors[key].name: np.asarray(v) for key, v in inputs.items()}
        calls.append((feeds, [info.name for info in signatures[name].outputs.values()]))
    process = client()
    pickle.dump((str(folder), calls), process.stdin)
    process.stdin.flush()
    try:
        answers = pickle.load(process.stdout)
    except EOFError:
        client.cache_clear()
        raise AssertionError(process.communicate()[1].decode()) from None
    return [
        answer
        if isinstance(answer, str)
        else dict(zip(signatures[name].outputs, answer))
        for (name, _), answer in zip(requests, answers)
    ]


def ask_python(folder, requests):
    """Answers as of `ask`, by TensorFlow's Python, which loads more than a server."""
    signatures = tf.saved_model.load(str(folder)).signatures
    answers = []
    for name, inputs in requests:
        answer = signatures[name](**{k: tf.constant(v) for k, v in inputs.items()})
        answers.append({key: value.numpy() for key, value in answer.items()})
    return answers


@functools.cache
def client():
    """The process that `ask` asks; it ends when this one closes its input."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}  # nobody empties stderr
    command = [sys.executable, "-m", "tests.saved_model_client"]
    return subprocess.Popen(command, cwd=ROOT, env=quiet, **pipes)


def assert_servable_graph(folder, names):
    """Asserts that the signatures hold nothing that a server cannot run or repeat."""
    meta_graph = read_meta_graph(folder)
    signatures = dict(meta_graph.signature_def)
    signatures.pop("__saved_model_init_op")
    assert signatures.keys() == names
    for name, signature in signatures.items():
        for key, info in (*signature.inputs.items(), *signature.outputs.items()):
            sizes = [dim.size for dim in info.tensor_shape.dim]
            assert not info.tensor_shape.unknown_rank, f"{name}: {key}"
            assert [size for size in sizes if size < 0] == sizes[:1], f"{name}: {key}"
            known = {tf.float32, tf.int32, tf.int64}
            known |= {tf.string} if key == image_files.IMAGE_BYTES else set()
            assert info.dtype in known, f"{name}: {key}"
        for node in reachable(meta_graph.graph_def, signature):
            stateful = op_def_registry.get(node.op).is_stateful
            assert not stateful or node.op in MAY_BE_STATEFUL, f"{name}: {node.op}"
            assert not re.search("PyFunc|Xla", node.op), f"{name}: {node.op}"
            assert not node.attr["_XlaMustCompile"].b, f"{name}: {node.op}"


def reachable(graph, signature):
    """Every node that a signature's outputs need, those of its functions included."""
    nodes = {node.name: node for node in graph.node}
    bodies = {f.signature.name: f.node_def for f in graph.library.function}
    waiting = [info.name.split(":")[0] for info in signature.outputs.values()]
    seen = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in nodes:
            waiting += [i.lstrip("^").split(":")[0] for i in nodes[name].input]
        for node in [nodes[name]] if name in nodes else bodies[name]:
            yield node
            for attr in node.attr.values():
                called = (attr.func, *attr.list.func)
                waiting += [function.name for function in called if function.name]


def read_meta_graph(folder):
    saved_model = saved_model_pb2.SavedModel()
    saved_model.ParseFromString((folder / "saved_model.pb").read_bytes())
    (meta_graph,) = saved_model.meta_graphs
    return meta_graph


def read_warmup(folder):
    """The warm-up requests, as `ask` takes them."""
    file = folder / "assets.extra" / "tf_serving_warmup_requests"
    requests = []
    for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
        request = PredictionLog.FromString(record).predict_log.request
        inputs = {k: tf.make_ndarray(tensor) for k, tensor in request.inputs.items()}
        requests.append((request.model_spec.signature_name, inputs))
    return requests
