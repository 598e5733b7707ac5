"""Arrays from requests and for answers: TensorProto and JSON."""

import base64
import math
from ctypes import sizeof

import numpy as np
from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2

from recipes.server.saved_model import CODES, DTYPES, String
from recipes.server.servable import require

MAX_BYTES = 2**26  # of a request, and of an array in it
VALUES = {"float32": "float_val", "int32": "int_val", "int64": "int64_val"}
VALUES |= {"object": "string_val"}


def from_proto(name: str, tensor: tensor_pb2.TensorProto) -> np.ndarray:
    """The array of a tensor, read-only; what cannot be one is refused."""
    wanted = f"{name} must be {', '.join(VALUES)}."
    require(tensor.dtype in DTYPES, wanted, f"dtype {tensor.dtype}")
    dtype = DTYPES[tensor.dtype]
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    size = math.prod(shape)
    known = not tensor.tensor_shape.unknown_rank and min(shape, default=0) >= 0
    each = dtype.itemsize if dtype.kind != "O" else sizeof(String)
    fits = len(shape) <= 8 and size * each <= MAX_BYTES
    wanted = f"{name} must have a shape, of at most 8 axes and {MAX_BYTES} bytes."
    require(known and fits, wanted, shape)
    content = tensor.tensor_content
    if content and dtype.kind != "O":  # strings are no buffer
        whole = len(content) == size * dtype.itemsize
        require(whole, f"{name} must have the bytes of {shape}.", len(content))
        return np.frombuffer(content, dtype).reshape(shape)
    values = np.array(getattr(tensor, VALUES[dtype.name]), dtype)
    if 0 < values.size < size:  # the last one stands for all that follow
        values = np.pad(values, (0, size - values.size), "edge")
    require(values.size == size, f"{name} must have {size} values.", values.size)
    return values.reshape(shape)


def to_proto(array: np.ndarray) -> tensor_pb2.TensorProto:
    """The tensor of an array."""
    dims = [tensor_shape_pb2.TensorShapeProto.Dim(size=size) for size in array.shape]
    return tensor_pb2.TensorProto(
        dtype=CODES[array.dtype],
        tensor_shape=tensor_shape_pb2.TensorShapeProto(dim=dims),
        tensor_content=array.tobytes(),
    )


def from_json(name: str, value, dtype: np.dtype) -> np.ndarray:
    """The array of nested lists of numbers, or of a list of files; others are refused.

    A file is a string, or as `{"b64": ...}` whatever bytes it stands for.
    """
    if dtype.kind == "O":
        wanted = f"{name} must be a list of files."
        require(isinstance(value, list), wanted, type(value).__name__)
        return np.array([as_bytes(name, file) for file in value], object)
    try:
        array = np.asarray(value)
    except ValueError:  # rows of several lengths, or too deep
        array = np.asarray(None)
    kinds = "iu" if dtype.kind == "i" else "iuf"
    wanted = f"{name} must be numbers in even rows, {dtype}."
    require(array.dtype.kind in kinds or not array.size, wanted, array.dtype)
    if dtype.kind == "i" and array.size:
        limits = np.iinfo(dtype)
        inside = limits.min <= array.min() and array.max() <= limits.max
        require(inside, f"{name} must be in the range of {dtype}.", array.max())
    with np.errstate(over="ignore"):  # the graph refuses what becomes infinite
        return array.astype(dtype)


def as_bytes(name: str, file) -> bytes:
    """The bytes of a file in JSON."""
    if isinstance(file, str):
        return file.encode(errors="replace")
    coded = is_coded(file) and isinstance(file["b64"], str)
    require(coded, f'{name} must be files as {{"b64": ...}}.', type(file).__name__)
    try:
        return base64.b64decode(file["b64"], validate=True)
    except ValueError as error:
        wanted = f"{name} must be files in base64."
        require(False, wanted, error)


def is_coded(value) -> bool:
    """Whether a JSON value stands for bytes in base64."""
    return isinstance(value, dict) and value.keys() == {"b64"}
