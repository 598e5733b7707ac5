"""Refuses what cannot work, early, and says what was received."""

import math
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

tfd = tfp.distributions


class Field(NamedTuple):
    """One named part of the data, x or a condition: what its rows look like.

    `dtype` is that of the values as the model sees them, `support` the closed interval
    that they must lie in.
    """

    shape: tuple[int, ...]
    dtype: str = "float32"
    support: tuple[float, float] = (-math.inf, math.inf)


def require(good: bool, wanted: str, received) -> None:
    """Raises a ValueError that says what is wanted and what was received."""
    if not good:
        raise ValueError(f"{wanted} Received: {received}")


def check_arrays(data: dict, fields: dict[str, Field], rows=None) -> None:
    """Checks the arrays `[B, *shape]` of all fields; symbolic tensors have no values.

    Raises:
        ValueError: if one is missing or unknown, empty, of another shape, dtype or
            number of rows, not finite, or outside its support.
    """
    wanted = f"Data must be {', '.join(fields) or 'without conditions'}."
    found = ", ".join(map(str, data)) or "none"
    require(data.keys() == fields.keys(), wanted, found)
    for name, field in fields.items():
        x = data[name] if hasattr(data[name], "dtype") else np.asarray(data[name])
        if not tf.is_symbolic_tensor(x):
            _check_array(x, "Data" if name == "x" else f"`{name}`", field)
            rows = len(x) if rows is None else rows
            require(
                tf.is_tensor(rows) or len(x) == rows,
                f"`{name}` must have {rows} rows, one for each image.",
                f"shape={tuple(x.shape)}",
            )


def _check_array(x, name: str, field: Field) -> None:
    shape, dtype, ours = tuple(x.shape), tf.as_dtype(x.dtype), tf.as_dtype(field.dtype)
    rank_short = (*shape[1:], 1) == tuple(field.shape)
    require(
        shape and shape[1:] == tuple(field.shape),
        f"{name} must have shape {_shown('batch', *field.shape)}."
        + " Add the channel axis: `x[..., None]`." * rank_short,
        f"shape={shape}",
    )
    require(shape[0], f"{name} must not be empty.", f"shape={shape}")
    received = f"dtype={dtype.name}"
    if ours.is_integer:
        require(dtype.is_integer, f"{name} must be integers.", received)
    if ours.is_floating:
        hint = "floating point; divide 8-bit images by 255."
        require(dtype.is_floating, f"{name} must be {hint}", received)
    (least, most), low, high = field.support, float(np.min(x)), float(np.max(x))
    finite = math.isfinite(low) and math.isfinite(high)
    require(finite, f"{name} must be finite.", f"smallest {low}, largest {high}")
    of = "the support of the likelihood" if name == "Data" else "its support"
    require(
        least <= low and high <= most,
        f"{name} must lie in [{least:g}, {most:g}], {of}.",
        f"values from {low:g} to {high:g}",
    )


def check_source(source, fields: dict[str, Field]) -> None:
    """Checks whatever `fit` accepts: arrays whole, data sets by their first batch.

    A Python generator cannot be read twice and is left to its owner.
    """
    if isinstance(source, tf.data.Dataset):
        first = next(iter(source.take(1)), None)
        require(first is not None, "Data must not be empty.", source)
        check_source(first, fields)
    elif isinstance(source, tuple | list):
        require(source, "Data must not be empty.", source)
        refuse_weights(*source[2:])
        check_source(source[0], fields)
    elif isinstance(source, keras.utils.PyDataset):
        check_source(source[0], fields)
    elif isinstance(source, dict) or hasattr(source, "shape"):
        check_arrays(source if isinstance(source, dict) else {"x": source}, fields)


def check_codes(codes, shapes, dtypes) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Codes `[..., *shape]` of the upper layers as rows, and their leading axes.

    Raises:
        ValueError: if there are none or too many, or one has another shape.
    """
    layers = f"`decode` takes one to {len(shapes)} layers of latents."
    require(0 < len(codes) <= len(shapes), layers, len(codes))
    codes = [tf.convert_to_tensor(z, dtype) for z, dtype in zip(codes, dtypes)]
    for z, shape in zip(codes, shapes):
        fits = z.shape.rank > len(shape) and tuple(z.shape[-len(shape) :]) == shape
        wanted = f"Latents must have shape {_shown('...', *shape)}."
        require(fits, wanted, f"shape={tuple(z.shape)}")
    leading = tf.shape(codes[0])[: -len(shapes[0])]
    return [tf.reshape(z, [-1, *s]) for z, s in zip(codes, shapes)], leading


def refuse_weights(*weights) -> None:
    """Raises a ValueError if there are weights of samples or of classes."""
    names = "`sample_weight` and `class_weight` are not supported: the objective "
    for weight in weights:
        require(weight is None, names + "is a mean over the batch.", weight)


def at_least(least: int, **counts: int) -> None:
    """Raises a ValueError that names the count which is less than that."""
    for name, count in counts.items():
        require(
            count >= least, f"`{name}` must be at least {least}.", f"{name}={count}"
        )


def not_negative(**weights) -> None:
    """Raises a ValueError that names the constant weight which is negative, or NaN."""
    for name, weight in weights.items():
        good = callable(weight) or weight >= 0
        require(good, f"`{name}` must not be negative.", f"{name}={weight}")


def check_networks(model) -> None:
    """Checks that a VAE's networks and heads fit together.

    Raises:
        ValueError: naming the network or head, what it must be and what it is.
    """
    for name in ("encoder", "decoder"):
        network, hint = getattr(model, name), "start it with a `keras.Input`."
        wanted = f"`{name}` must know its input shape: {hint}"
        require(network.built, wanted, f"{name}={network.name}")
    *size, channels = model.event_shape
    params = (*size, channels * model.likelihood_head.params_per_channel)
    encoder, decoder = model.encoder, model.decoder
    wanted = "`encoder` must return features of shape [batch, H]."
    require(len(encoder.output_shape) == 2, wanted, f"{encoder.output_shape=}")
    wanted = (
        f"`decoder` must take latents of shape {_shown('batch', model.decoder_dim)}."
    )
    fits = decoder.input_shape[1:] == (model.decoder_dim,)
    require(fits, wanted, f"{decoder.input_shape=}")
    of = type(model.likelihood_head).__name__
    wanted = f"`decoder` must return {_shown('batch', *params)} for {of}."
    fits = decoder.output_shape[1:] == params
    require(fits, wanted, f"{decoder.output_shape=}")
    for head, dim in (
        (model.posterior_head, model.latent_dim),
        (model.prior_head, model.top_dim),
    ):
        latent_dim = getattr(head, "latent_dim", dim)
        wanted = f"`{type(head).__name__}` must have latent_dim={dim}."
        require(latent_dim == dim, wanted, f"{latent_dim=}")


def check_reparameterised(posterior: tfd.Distribution) -> None:
    """Raises a ValueError unless gradients reach the encoder through a draw of z."""
    require(
        posterior.reparameterization_type == tfd.FULLY_REPARAMETERIZED,
        "The posterior must be reparameterised, so that gradients reach the encoder.",
        f"posterior={posterior.name}",
    )


def _shown(*sizes) -> str:
    return f"[{', '.join(map(str, sizes))}]"
