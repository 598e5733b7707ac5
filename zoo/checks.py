"""Refuses what cannot work, early, and says what was received."""

import math
from collections.abc import Sequence
from numbers import Real
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf


class Field(NamedTuple):
    """One named part of the data, x or a condition: what its rows look like."""

    shape: tuple[int, ...]
    dtype: str = "float32"  # of the values as the model sees them
    support: tuple[float, float] = (-math.inf, math.inf)  # a closed interval
    default: float | None = None  # of a condition that need not be given

    def example(self) -> tf.Tensor:
        """One row of plain values, `[1, *shape]`."""
        return tf.fill([1, *self.shape], tf.cast(np.clip(0, *self.support), self.dtype))


def require(good: bool, wanted: str, received) -> None:
    """Raises a ValueError that says what is wanted and what was received."""
    if not good:
        raise ValueError(f"{wanted} Received: {received}")


def check_arrays(data: dict, fields: dict[str, Field], rows=None) -> None:
    """Raises a ValueError if an array `[B, *shape]` does not fit its field."""
    check_names(data, fields)
    for name in data:
        field = fields[name]
        wanted = "Data must be an array here; `zoo.evaluation` takes data sets, for "
        wanted += "`encode` and `log_prob`, and `predict` for reconstructions."
        other = isinstance(data[name], tf.data.Dataset | keras.KerasTensor)
        require(not other, wanted, data[name])
        x = data[name] if hasattr(data[name], "dtype") else as_array(data[name], name)
        if not tf.is_symbolic_tensor(x):
            _check_array(x, "Data" if name == "x" else f"`{name}`", field)
            rows = x.shape[0] if rows is None else rows
            wanted = f"`{name}` must have {rows} rows, one for each image."
            fits = tf.is_tensor(rows) or x.shape[0] == rows
            require(fits, wanted, f"shape={tuple(x.shape)}")


def as_array(rows, name: str) -> np.ndarray:
    """Nested lists as an array; raises a ValueError if they are of several lengths."""
    try:
        return np.asarray(rows)
    except ValueError:
        wanted = f"`{name}` must be an array: these lists are of several lengths."
        raise ValueError(f"{wanted} Received: {rows!r}") from None


def check_names(data: dict, fields: dict[str, Field]) -> None:
    """Raises a ValueError unless the data have the fields' names and no others."""
    shown = ", ".join(f'"{name}": ...' for name in fields)
    what = "Data" if "x" in fields else "`given`"
    wanted = f"{what} must be a dict, {{{shown}}}." if shown else "No conditions here."
    if fields.keys() == {"x"}:
        wanted = "Data must be x alone, without conditions."
    needed = {name for name, field in fields.items() if field.default is None}
    found = ", ".join(map(str, data)) or "none"
    require(needed <= data.keys() <= fields.keys(), wanted, found)


def named(given) -> dict:
    """Conditions by name, which may be None; raises a ValueError if they have none."""
    wanted = "`given` must be a dict of conditions by name, such as labels."
    good = given is None or isinstance(given, dict)
    require(good, wanted, type(given).__name__)
    return given or {}


def together(x, given) -> dict:
    """x and its conditions as one dict, as which they may have come already."""
    given = named(given)
    wanted = "Conditions must come once: in the dict of x, or beside an array x."
    require(not (isinstance(x, dict) and given), wanted, "both")
    return dict(x) if isinstance(x, dict) else {"x": x, **given}


def completed(data: dict, fields: dict[str, Field], rows) -> dict[str, tf.Tensor]:
    """The data as tensors of their fields' dtypes, in their order; defaults filled in.

    `rows` is how many there are of each.
    """
    return {
        name: tf.cast(data[name], field.dtype)
        if name in data
        else tf.fill([rows, *field.shape], tf.cast(field.default, field.dtype))
        for name, field in fields.items()
    }


def check_shape(shape, axes: int | None = None) -> None:
    """Raises a ValueError unless it is a shape, of so many axes if that is said."""
    listed = isinstance(shape, list | tuple)
    wanted = {
        None: "A shape is a tuple, such as (28, 28, 1).",
        2: "A map's shape is (height, width).",
        3: "An image's shape is (height, width, channels).",
    }[axes]
    require(listed and axes in (None, len(shape)), wanted, shape)


def _check_array(x, name: str, field: Field) -> None:
    shape, dtype, ours = tuple(x.shape), tf.as_dtype(x.dtype), tf.as_dtype(field.dtype)
    wanted = f"{name} must have shape {shown('batch', *field.shape)}."
    wanted += _missing_axis(shape, name.strip("`"), field)
    require(shape and shape[1:] == tuple(field.shape), wanted, f"shape={shape}")
    require(shape[0], f"{name} must not be empty.", f"shape={shape}")
    received = f"dtype={dtype.name}"
    if ours.is_integer:
        wanted = f"{name} must be integers."
        if dtype.is_floating and not field.shape:
            wanted += f" Give `{name.strip('`')}.astype('int32')`."
        require(dtype.is_integer, wanted, received)
    if ours.is_floating:
        binary = dtype.is_bool or (dtype.is_integer and np.max(x) <= 1)
        hint = "`x.astype('float32')`" if binary else "divide 8-bit images by 255"
        wanted = f"{name} must be floating point"
        image = name == "Data" or field.support == (0, 1)
        wanted += f"; {hint}." if image else "."
        require(dtype.is_floating, wanted, received)
    (least, most), low, high = field.support, float(np.min(x)), float(np.max(x))
    finite = math.isfinite(low) and math.isfinite(high)
    require(finite, f"{name} must be finite.", f"smallest {low}, largest {high}")
    of = "the support of the likelihood" if name == "Data" else "its support"
    wanted = f"{name} must lie in [{least:g}, {most:g}], {of}."
    inside = least <= low and high <= most
    require(inside, wanted, f"values from {low:g} to {high:g}")


def check_traced(data: dict[str, tf.Tensor], fields: dict[str, Field]) -> None:
    """Raises a ValueError if shapes and dtypes, all that a graph knows, do not fit."""
    check_names(data, fields)
    for name, x in data.items():
        field, what = fields[name], "Data" if name == "x" else f"`{name}`"
        rank = None if x.shape.rank is None else len(field.shape) + 1
        fits = x.shape.rank == rank and x.shape[1:].is_compatible_with(field.shape)
        wanted = f"{what} must have shape {shown('batch', *field.shape)}."
        require(fits, wanted, f"shape={x.shape}")
        floating = tf.as_dtype(field.dtype).is_floating
        wanted = f"{what} must be {'floating point' if floating else 'integers'}."
        alike = x.dtype.is_floating == floating
        require(alike, wanted, f"dtype={x.dtype.name}")


def _missing_axis(shape: tuple, name: str, field: Field) -> str:
    """How rows of another shape may be mended, if it is known."""
    if field.shape and (*shape[1:], 1) == tuple(field.shape):
        return " Add the channel axis: `x[..., None]`."
    if field.shape and shape == tuple(field.shape):
        return " Add the batch axis: `x[None]`; of a data set, `.batch(128)`."
    if not field.shape and len(shape) == 2:
        mended = f"{name}[:, 0]" if shape[1] == 1 else f"{name}.argmax(axis=1)"
        return f" Give one number for each row: `{mended}`."
    return ""


def check_source(source, fields: dict[str, Field]) -> None:
    """Checks what `fit` accepts: arrays whole, data sets by a batch, generators not."""
    if isinstance(source, tf.data.Dataset):
        first = next(iter(source.take(1)), None)
        require(first is not None, "Data must not be empty.", source)
        check_source(first, fields)
    elif isinstance(source, tuple | list):
        require(source, "Data must not be empty.", source)
        wanted = "Data must be an array: `np.asarray(x)` makes one of nested lists."
        require(not isinstance(source[0], list | float | int), wanted, type(source[0]))
        refuse_weights(*source[2:])
        alone = len(source) == 1 or isinstance(source[0], dict)
        for name in fields.keys() - {"x"}:
            pair = f'{{"x": x, "{name}": y}}'
            wanted = f"Data must be dicts: `{pair}`; of a data set of pairs "
            wanted += f"`.map(lambda x, y: {pair})`."
            require(alone, wanted, "a pair (x, y)")
        check_source(source[0], fields)
    elif isinstance(source, keras.utils.PyDataset):
        check_source(source[0], fields)
    elif isinstance(source, dict) or hasattr(source, "shape"):
        check_arrays(source if isinstance(source, dict) else {"x": source}, fields)
    else:
        wanted = "Data must be an array, a dict of arrays or a data set."
        several = hasattr(source, "__iter__") and not isinstance(source, str)
        require(several, wanted, repr(source))


def check_codes(codes, fields: dict[str, Field]) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Codes `[..., *shape]` of the upper layers as rows, and their leading axes."""
    layers = f"`decode` takes one to {len(fields)} layers of latents."
    require(0 < len(codes) <= len(fields), layers, len(codes))
    rows, leading = [], []
    for z, (name, field) in zip(codes, fields.items()):
        listed = isinstance(z, list | tuple) and any(map(tf.is_tensor, z))
        wanted = "`decode` takes one argument for each layer: `decode(*codes)`."
        require(not listed, wanted, f"a list of {len(z) if listed else 0}")
        try:
            z = tf.convert_to_tensor(z, None if hasattr(z, "dtype") else field.dtype)
        except (TypeError, ValueError):
            wanted = f"`{name}` must be an array of {field.dtype}."
            require(False, wanted, type(z).__name__)
        axes = z.shape.rank - len(field.shape)
        fits = axes > 0 and tuple(z.shape[axes:]) == field.shape
        wanted = f"`{name}` must have shape {shown('...', *field.shape)}."
        require(fits, wanted, f"shape={tuple(z.shape)}")
        rows.append(tf.reshape(z, [-1, *field.shape]))
        if not tf.is_symbolic_tensor(z):
            _check_array(rows[-1], f"`{name}`", field)
        leading.append(z.shape[:axes])
    wanted = "All layers of latents must have the same leading axes."
    alike = all(axes.is_compatible_with(leading[0]) for axes in leading)
    require(alike, wanted, ", ".join(map(str, leading)))
    rows = [tf.cast(z, field.dtype) for z, field in zip(rows, fields.values())]
    return rows, tf.shape(codes[0])[: leading[0].rank]


def check_batch(data) -> None:
    """Raises a ValueError unless it is one batch: an array or a dict of arrays."""
    wanted = "A batch must be an array or a dict of arrays; `fit`, `evaluate` and "
    wanted += "`predict` take data sets."
    single = isinstance(data, dict) or hasattr(data, "shape")
    require(single, wanted, repr(data))


def refuse_lists(data) -> None:
    """Raises a ValueError if data are several arrays one beside another."""
    listed = isinstance(data, list | tuple) and any(hasattr(a, "shape") for a in data)
    wanted = "Data must be one array, a dict of arrays or a data set."
    require(not listed, wanted, f"a {type(data).__name__} of arrays")


def refuse_weights(*weights) -> None:
    """Raises a ValueError if there are weights of samples or of classes."""
    names = "`sample_weight` and `class_weight` are not supported: the objective "
    for weight in weights:
        require(weight is None, names + "is a mean over the batch.", weight)


def at_least(least: int, **counts: int) -> None:
    """Raises a ValueError that names the count which is less, or not whole."""
    for name, count in counts.items():
        whole = isinstance(count, int | np.integer) and not isinstance(count, bool)
        wanted = f"`{name}` must be at least {least} and a whole number."
        require(whole and count >= least, wanted, f"{name}={count!r}")


def per_layer(least: int = 1, **sizes) -> None:
    """Raises a ValueError that names what is no tuple or list, one entry per layer.

    Entries are whole numbers, at least `least`.
    """
    for name, value in sizes.items():
        wanted = f"`{name}` must be a tuple of whole numbers, one for each layer."
        good = isinstance(value, Sequence) and not isinstance(value, str)
        require(good, wanted, f"{name}={value!r}")
        for index, size in enumerate(value):
            at_least(least, **{f"{name}[{index}]": size})


def not_empty(**sizes: Sequence) -> None:
    """Raises a ValueError that names what has no entry."""
    for name, value in sizes.items():
        wanted = f"`{name}` must have one entry at least."
        require(len(value), wanted, f"{name}={value!r}")


def not_negative(scheduled: bool = False, **weights) -> None:
    """Raises a ValueError that names the weight which is not a number >= 0.

    With `scheduled`, a schedule is taken too.
    """
    for name, weight in weights.items():
        number = isinstance(weight, Real | np.number) and weight >= 0
        kind = "a number or a schedule" if scheduled else "a number"
        wanted = f"`{name}` must not be negative: {kind}."
        good = number or (scheduled and callable(weight))
        require(good, wanted, f"{name}={weight!r}")


def check_optimizer(optimizer) -> None:
    """Raises a ValueError unless it is a Keras optimiser, or says which."""
    wanted = "`optimizer` must be a Keras optimiser or its name, such as 'adam'."
    known = isinstance(optimizer, keras.optimizers.Optimizer | str | dict)
    require(known, wanted, repr(optimizer))


def shown(*sizes) -> str:
    return f"[{', '.join(map(str, sizes))}]"
