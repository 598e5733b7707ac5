"""Export for TensorFlow Serving: a SavedModel with six signatures, free of Python.

| signature | inputs | outputs |
|---|---|---|
| `serving_default` | `x` `[B, *event]` | `reconstruction` `[B, *event]` |
| `encode` | `x` `[B, *event]` | `z` `[B, D]` |
| `decode` | `z` `[B, D]` | `mean` `[B, *event]` of p(x given z) |
| `sample` | `num_samples`, `seed` `[]` | `x` `[num_samples, *event]` |
| `sample_batched` | `seed` `[B]` | `x` `[B, *event]`, row i is `sample(1, seed[i])` |
| `log_likelihood` | `x`, `num_samples`, `seed` | `log_likelihood` `[B]` in nats |

A model of several latent layers has `z_1` (the top), `z_2`, ... in place of `z`.
`num_samples` is int32 and `seed` int64; all else is float32, and `x` is in the units
of the training data. Same seed, same answer: no request changes the model's state.
Wrong shapes, values outside the likelihood's support and counts beyond `MAX_IMAGES`
or `MAX_DRAWS` are refused.

The server batches requests along their first axis, which a scalar does not have: with
`--enable_batching`, and in REST's `instances`, draw images with `sample_batched`.
"""

import math
import os
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from zoo.vae import VAE

MAX_IMAGES = 1024  # a `sample` request holds them in memory all at once
MAX_DRAWS = 100_000  # a `log_likelihood` request streams them


def export(model: VAE, path: str | os.PathLike, *, warmup: bool = True) -> Path:
    """Writes the model as the next version under `path`, whole or not at all.

    Args:
        model: the model to serve.
        path: the server's `model_base_path`; made if it does not exist.
        warmup: adds a request for each signature that the server can batch; it
            replays them before the version answers anybody.

    Returns:
        The version's folder; `path/1` for the first.

    Example:
        zoo.serving.export(vae, "saved_models/vae_mnist/serving")
    """
    signatures = _signatures(model)
    needed = {id(v) for function in signatures.values() for v in function.variables}
    module = tf.Module()
    module.weights = [w.value for w in model.weights if id(w.value) in needed]
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    versions = [int(child.name) for child in path.iterdir() if child.name.isdecimal()]
    version = path / str(max(versions, default=0) + 1)
    with tempfile.TemporaryDirectory(prefix=".", dir=path) as scratch:
        folder = Path(scratch, version.name)
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        tf.saved_model.save(module, str(folder), signatures, options)
        if warmup:
            _write_warmup(signatures, folder, model.likelihood_head.support)
        folder.rename(version)
    return version


def _signatures(model):
    """The model's pure functions, traced behind a check of their inputs."""
    event = model.event_shape
    support = model.likelihood_head.support
    images = tf.TensorSpec((None, *event), tf.float32, "x")
    count = tf.TensorSpec((), tf.int32, "num_samples")
    one_seed = tf.TensorSpec((), tf.int64, "seed")
    seeds = tf.TensorSpec((None,), tf.int64, "seed")
    layers = _trace(model.encode, x=images).structured_outputs
    names = [f"z_{rank}" for rank in range(1, len(layers) + 1)] if layers[1:] else ["z"]
    codes = {
        name: tf.TensorSpec(layer.shape, tf.float32, name)
        for name, layer in zip(names, layers)
    }

    def reconstruct(x):
        return {"reconstruction": model.reconstruct(_checked(x, images, *support))}

    def encode(x):
        return dict(zip(names, model.encode(_checked(x, images, *support))))

    def decode(**z):
        return {
            "mean": model.decode(*(_checked(z[name], codes[name]) for name in names))
        }

    def sample(num_samples, seed):
        num_samples = _checked(num_samples, count, 1, MAX_IMAGES)
        return {"x": model.sample(num_samples, _checked(seed, one_seed))}

    def sample_batched(seed):
        # One row at a time: sums over a larger batch round differently.
        return {
            "x": tf.map_fn(
                lambda row: model.sample(1, row)[0],
                _checked(seed, seeds),
                fn_output_signature=tf.TensorSpec(event, tf.float32),
            )
        }

    def log_likelihood(x, num_samples, seed):
        x = _checked(x, images, *support)
        num_samples = _checked(num_samples, count, 1, MAX_DRAWS)
        seed = _checked(seed, one_seed)
        return {"log_likelihood": model.log_likelihood(x, num_samples, seed)}

    return {
        "serving_default": _trace(reconstruct, x=images),
        "encode": _trace(encode, x=images),
        "decode": _trace(decode, **codes),
        "sample": _trace(sample, num_samples=count, seed=one_seed),
        "sample_batched": _trace(sample_batched, seed=seeds),
        "log_likelihood": _trace(
            log_likelihood, x=images, num_samples=count, seed=one_seed
        ),
    }


def _trace(function, **specs):
    return tf.function(function, autograph=False).get_concrete_function(**specs)


def _checked(tensor, spec, low=-math.inf, high=math.inf):
    """The tensor behind checks that run in the graph and say what is wrong.

    The server enforces the dtypes of a signature, but neither its shapes nor values.
    """
    tensor = tf.ensure_shape(tensor, spec.shape)
    values = tf.reshape(tf.cast(tensor, tf.float32), [-1])
    good = tf.math.is_finite(values) & (values >= low) & (values <= high)
    wanted = f"values in [{low:g}, {high:g}]" if high < math.inf else "finite values"
    check = tf.debugging.Assert(
        (tf.size(values) > 0) & tf.reduce_all(good),
        [f"{spec.name} must hold {wanted}. Received:", tf.boolean_mask(values, ~good)],
    )
    with tf.control_dependencies([check]):
        return tf.identity(tensor)


def _write_warmup(signatures, folder, support):
    """Writes a TFRecord of `PredictionLog`, one per signature without scalars."""
    file = folder / "assets.extra" / "tf_serving_warmup_requests"
    file.parent.mkdir()
    with tf.io.TFRecordWriter(str(file)) as writer:
        for name, function in signatures.items():
            specs = tf.nest.flatten(function.structured_input_signature)
            if all(spec.shape.rank for spec in specs):
                inputs = {
                    spec.name: np.zeros((1, *spec.shape[1:]), spec.dtype.as_numpy_dtype)
                    for spec in specs
                }
                if "x" in inputs:
                    inputs["x"] = inputs["x"].clip(*support)
                writer.write(_prediction_log(name, inputs))


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
