"""Export for TensorFlow Serving: a SavedModel with nine signatures, free of Python.

| signature | inputs | outputs |
|---|---|---|
| `serving_default` | `x` `[B, *event]` | `reconstruction` `[B, *event]` |
| `encode` | `x` `[B, *event]` | `z` `[B, ...]`, `z_stddev` likewise |
| `decode` | `z` `[B, ...]` | `mean` `[B, *event]` of p(x given z) |
| `sample` | `n`, `seed` `[]` | `x` `[n, *event]` |
| `sample_batched` | `seed` `[B]` | `x` `[B, *event]` |
| `log_prob` | `x`, `num_importance_samples`, `seed` `[]` | `log_prob` `[B]` in nats |
| `log_prob_batched` | `x`, `num_importance_samples`, `seed` `[B]` | likewise |
| `anomaly_score` | `x` `[B, *event]` | `anomaly_score` `[B]` in [0, 1] |
| `reconstruct_bytes` | `image_bytes` `[B]` | `reconstruction`, `anomaly_score` |

A model of L latent layers has `z_L` (the top), ..., `z_1` in place of `z`. Conditions
are further inputs of B rows; `sample` then draws one image for each of them in place of
`n`. An exact model's `log_prob` takes `x` alone and has no batched twin.

`z_stddev` is that of the posterior whose mean `z` is, for each layer whose posterior
has one: points and flows have none. A layer's is given the means of those it depends
on. `anomaly_score` is the share of training images whose -log p(x) is lower: 0.99 means
rarer than 99 % of them. It needs a table, see `zoo.evaluation.rarity`; its draws are of
one seed, and a row's answer does not depend on the others. `image_bytes` are whole PNG
or JPEG files of the model's height and width, for models of images of one or three
channels with values in [0, 1]; see `zoo.image_files`.

Counts are int32, seeds int64, files strings, other dtypes the model's; `x` is in the
units of the training data. Same seed, same answer: no request changes the model.

The server batches requests along their first axis, which a scalar does not have: with
`--enable_batching`, and in REST's `instances`, take the batched twins. Each row has its
own seed and an answer that does not depend on the other rows: that of `log_prob` for
this row alone, bit by bit, or of `sample` for n = 1, up to 1e-5 of the largest value,
since sums over a larger batch round differently.

Refused are wrong shapes, values outside the support, files that are no such image,
empty batches, more than `MAX_ROWS` rows, more than `MAX_DRAWS` draws over all rows, and
answers that are not finite. A request is refused as a whole: one bad row refuses its
batch, and where the server batches, the rows of other clients too. Check rows before
you send them.
"""

import math
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from zoo import devices, graphs, image_files
from zoo import rarity as tables
from zoo.checks import Field, require
from zoo.draws import DRAWS, DRAWS_AT_A_TIME
from zoo.image_files import IMAGE_BYTES

MAX_ROWS = 1024  # of a request
STDDEV = "{}_stddev"  # what a layer's output is called
MAX_DRAWS = 500_000  # importance samples of all rows of a request together


def export(
    model,
    path: str | os.PathLike,
    *,
    warmup: bool = True,
    rarity: dict | None = None,
) -> Path:
    """Writes the model as the next version under `path`, whole or not at all.

    Args:
        model: the `zoo.GenerativeModel` to serve.
        path: the server's `model_base_path`; made if it does not exist.
        warmup: adds a request for each signature that the server can batch; it
            replays them before the version answers anybody.
        rarity: table of `zoo.evaluation.rarity`, for the signature `anomaly_score`.

    Returns:
        The version's folder; `path/1` for the first.

    Raises:
        ValueError: if `path` names no folder, `rarity` is no such table, or it is
            called within the scope of a strategy of several devices.

    Example:
        zoo.serving.export(vae, "saved_models/vae_mnist/serving")
    """
    folder = isinstance(path, str | os.PathLike)
    require(folder, "`path` must name a folder.", repr(path))
    model = devices.on_one_device(model)
    table = _signatures(model, rarity)
    functions = {name: _traced(*row) for name, row in table.items()}
    needed = {id(v) for function in functions.values() for v in function.variables}
    module = tf.Module()
    module.weights = [w.value for w in model.weights if id(w.value) in needed]
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    versions = [int(child.name) for child in path.iterdir() if child.name.isdecimal()]
    version = path / str(max(versions, default=0) + 1)
    with tempfile.TemporaryDirectory(prefix=".", dir=path) as scratch:
        folder = Path(scratch, version.name)
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        tf.saved_model.save(module, str(folder), functions, options)
        graphs.shorten_names(folder)
        if warmup:
            _write_warmup(table, folder, model.event_shape)
        folder.rename(version)
    return version


def _signatures(
    model, rarity: dict | None = None
) -> dict[str, tuple[Callable, dict[str, Field]]]:
    """The model's pure functions and their inputs, batch axis and all."""
    given = {k: f._replace(shape=(None, *f.shape)) for k, f in model.fields.items()}
    x = {"x": given.pop("x")}
    made = {
        k: f._replace(shape=(None, *f.shape)) for k, f in model.given_fields.items()
    }
    layers = model.encode(*model.example())
    names = model.latent_names(len(layers))
    known = getattr(model, "latent_fields", {})
    z = {
        name: Field((None, *z.shape[1:]), z.dtype, *known.get(name, ())[2:])
        for name, z in zip(names, layers)
    }
    n = {"n": Field((), "int32", (1, MAX_ROWS))}
    seed, seeds = ({"seed": Field(batch, "int64")} for batch in ((), (None,)))
    draws, draws_of_rows = (
        {DRAWS: Field(batch, "int32", (1, MAX_DRAWS))} for batch in ((), (None,))
    )

    def reconstruct(x, **given):
        return {"reconstruction": model.reconstruct(x, given)}

    def encode(x, **given):
        found = {}
        for name, (mean, stddev) in zip(names, model.moments(x, given)):
            found |= {name: mean, STDDEV.format(name): stddev}
        return {name: value for name, value in found.items() if value is not None}

    def decode(**given):
        z = [given.pop(name) for name in names]
        return {"mean": model.decode(*z, given=given)}

    def sample(seed, n=None, **given):
        for rows in given.values():
            n = tf.shape(rows)[0]
        return {"x": model.sample(n, given, seed=seed)}

    def sample_batched(seed, **given):
        return {"x": model.sample(tf.shape(seed)[0], given, seed=seed)}

    def exact_log_prob(x, **given):
        return {"log_prob": model.log_prob(x, given)}

    def log_prob(x, seed, num_importance_samples, **given):
        rows = tf.shape(x)[0]
        options = {
            DRAWS: _bounded(num_importance_samples, rows * num_importance_samples),
            "chunk": tf.maximum(1, DRAWS_AT_A_TIME // rows),
        }
        return {"log_prob": model.log_prob(x, given, seed=seed, **options)}

    def log_prob_batched(x, seed, num_importance_samples, **given):
        draws = num_importance_samples
        draws = _bounded(draws, tf.reduce_sum(tf.cast(draws, tf.int64)))
        return {"log_prob": model.log_prob_of_rows(x, given, seed, draws)}

    def anomaly_score(x, **given):
        draws = rarity["num_importance_samples"]
        nats = tables.negative_log_prob(model, x, given, draws)
        return {"anomaly_score": tables.score(nats, rarity)}

    def reconstruct_bytes(image_bytes, **given):
        x = image_files.images(image_bytes, model.event_shape)
        score = {} if rarity is None else anomaly_score(x, **given)
        return reconstruct(x, **given) | score

    table = {
        "serving_default": (reconstruct, x | given),
        "encode": (encode, x | given),
        "decode": (decode, z | made),
        "sample": (sample, seed | (made or n)),
        "sample_batched": (sample_batched, seeds | made),
        "log_prob": (log_prob, x | seed | draws | given),
        "log_prob_batched": (log_prob_batched, x | seeds | draws_of_rows | given),
    }
    if model.exact:
        table["log_prob"] = exact_log_prob, x | given
        del table["log_prob_batched"]
    if rarity is not None:
        tables.check_table(model, rarity)
        table["anomaly_score"] = anomaly_score, x | given
    if image_files.takes_files(model.fields["x"]):
        files = {IMAGE_BYTES: Field((None,), "string")}
        table["reconstruct_bytes"] = reconstruct_bytes, files | given
    return table


def _traced(function, inputs: dict[str, Field]):
    """The function behind checks of what it is asked and of what it answers."""

    def checked(**tensors):
        rows = (1, MAX_ROWS)
        for name, field in inputs.items():
            tensors[name], rows = _checked(name, tensors[name], field, rows)
        return {
            name: _require(answer, f"{name} of these inputs is not finite.", answer)
            for name, answer in function(**tensors).items()
        }

    specs = {k: tf.TensorSpec(f.shape, f.dtype, k) for k, f in inputs.items()}
    return tf.function(checked, autograph=False).get_concrete_function(**specs)


def _checked(name, tensor, field, rows):
    """The tensor behind checks in the graph, and the rows that the next must have.

    The server enforces the dtypes of a signature, but neither its shapes nor values.
    """
    tensor, (low, high) = tf.ensure_shape(tensor, field.shape), field.support
    if field.shape:
        count = tf.cast(tf.shape(tensor)[0], tf.float32)
        message = f"{name} must have 1 to {MAX_ROWS} rows, as many as other inputs."
        tensor, rows = _require(tensor, message, count, *rows), (count, count)
    if field.dtype == "string":
        return tensor, rows
    bounded = math.isfinite(low) or math.isfinite(high)
    wanted = f"values in [{low:g}, {high:g}]" if bounded else "finite values"
    return _require(tensor, f"{name} must hold {wanted}.", tensor, low, high), rows


def _bounded(tensor, draws):
    message = f"{DRAWS} of all rows together must be at most {MAX_DRAWS}."
    return _require(tensor, message, draws, 1, MAX_DRAWS)


def _require(tensor, message, values, low=-math.inf, high=math.inf):
    """The tensor behind an assertion that values are finite and in [low, high]."""
    values = tf.reshape(tf.cast(values, tf.float32), [-1])
    good = _assert_within(values, low, high, f"{message} Received:")
    with tf.control_dependencies([good]):
        return tf.identity(tensor)


_NUMBER, _TEXT = tf.TensorSpec([], tf.float32), tf.TensorSpec([], tf.string)
_ASKED = tf.TensorSpec([None], tf.float32), _NUMBER, _NUMBER, _TEXT


@tf.function(autograph=False, input_signature=_ASKED)
def _assert_within(values, low, high, message):
    """An assertion's body, of which a graph that asserts much holds one."""
    good = tf.math.is_finite(values) & (values >= low) & (values <= high)
    received = tf.boolean_mask(values, ~good)
    assertion = tf.raw_ops.Assert(  # `tf.debugging.Assert` makes two functions of it
        condition=tf.reduce_all(good), data=[message, received]
    )
    with tf.control_dependencies([assertion]):
        return tf.identity(low)


def _write_warmup(table, folder, image_shape):
    """Writes a TFRecord of `PredictionLog`, one per signature without scalars."""
    file = folder / "assets.extra" / "tf_serving_warmup_requests"
    file.parent.mkdir()
    with tf.io.TFRecordWriter(str(file)) as writer:
        for name, (_, inputs) in table.items():
            if all(field.shape for field in inputs.values()):
                rows = {k: f._replace(shape=f.shape[1:]) for k, f in inputs.items()}
                files = rows.pop(IMAGE_BYTES, None)
                rows = {k: row.example() for k, row in rows.items()}
                if files:
                    rows[IMAGE_BYTES] = image_files.black(image_shape)[None]
                writer.write(_prediction_log(name, rows))


def _prediction_log(signature, inputs):
    """A `tensorflow.serving.PredictionLog` as bytes; TensorFlow lacks its class."""
    request = _field(1, _field(3, signature.encode()))  # model_spec.signature_name
    for name, value in inputs.items():
        tensor = tf.make_tensor_proto(value).SerializeToString()
        request += _field(2, _field(1, name.encode()) + _field(2, tensor))  # inputs
    return _field(6, _field(1, request))  # predict_log.request


def _field(number, payload):
    """A length-delimited field in protobuf's wire format."""
    size, varint = len(payload), b""
    while size > 127:
        varint += bytes([size & 127 | 128])
        size >>= 7
    return bytes([number << 3 | 2]) + varint + bytes([size]) + payload
