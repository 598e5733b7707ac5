"""Runs SavedModels as TensorFlow Serving does: its C++ loader, no Python TensorFlow."""

import functools
import importlib.util
import os
from contextlib import contextmanager
from ctypes import (
    CDLL,
    POINTER,
    Structure,
    addressof,
    byref,
    c_char_p,
    c_int,
    c_int64,
    c_size_t,
    c_void_p,
    memmove,
    sizeof,
    string_at,
)
from pathlib import Path

import numpy as np

DTYPES = {  # of an export's inputs and outputs, by TensorFlow's number
    1: np.dtype("float32"),
    3: np.dtype("int32"),
    7: np.dtype("object"),  # of bytes
    9: np.dtype("int64"),
}
CODES = {dtype: code for code, dtype in DTYPES.items()}


class TensorFlowError(RuntimeError):
    """What TensorFlow refuses or cannot do; `code` is also gRPC's number for it."""

    def __init__(self, code: int, message: str):
        super().__init__(message)
        self.code = code


class String(Structure):
    """`TF_TString`, where TensorFlow keeps one string or says where it is."""

    _fields_ = [("words", c_int64 * 3)]


class Output(Structure):
    """`TF_Output`: one output of one operation."""

    _fields_ = [("operation", c_void_p), ("index", c_int)]


@functools.cache
def load_library() -> CDLL:
    """TensorFlow's C API out of the installed wheel, with the types of its calls."""
    package = importlib.util.find_spec("tensorflow").submodule_search_locations[0]
    library = CDLL(str(next(Path(package).glob("libtensorflow_cc.*2*"))))
    pointer, size = c_void_p, c_size_t
    for name, result, *arguments in (
        ("TF_NewStatus", pointer),
        ("TF_DeleteStatus", None, pointer),
        ("TF_GetCode", c_int, pointer),
        ("TF_Message", c_char_p, pointer),
        ("TF_NewGraph", pointer),
        ("TF_NewSessionOptions", pointer),
        ("TF_GraphOperationByName", pointer, pointer, c_char_p),
        ("TF_AllocateTensor", pointer, c_int, POINTER(c_int64), c_int, size),
        ("TF_DeleteTensor", None, pointer),
        ("TF_DeleteSession", None, pointer, pointer),
        ("TF_TensorType", c_int, pointer),
        ("TF_NumDims", c_int, pointer),
        ("TF_Dim", c_int64, pointer, c_int),
        ("TF_TensorData", pointer, pointer),
        ("TF_TensorByteSize", size, pointer),
        ("TF_StringAssignView", None, pointer, c_char_p, size),
        (
            "TF_LoadSessionFromSavedModel",
            pointer,
            *(pointer, pointer, c_char_p, POINTER(c_char_p), c_int),
            *(pointer, pointer, pointer),
        ),
        (
            "TF_SessionRun",
            None,
            *(pointer, pointer),
            *(POINTER(Output), POINTER(pointer), c_int),
            *(POINTER(Output), POINTER(pointer), c_int),
            *(pointer, c_int, pointer, pointer),
        ),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class SavedModel:
    """One loaded SavedModel; any number of threads may run it."""

    def __init__(self, folder: str | os.PathLike):
        self.tf = load_library()
        self.graph = self.tf.TF_NewGraph()
        options, tags = self.tf.TF_NewSessionOptions(), (c_char_p * 1)(b"serve")
        folder = os.fsencode(folder)
        with self._checked() as status:
            self.session = self.tf.TF_LoadSessionFromSavedModel(
                options, None, folder, tags, 1, self.graph, None, status
            )

    def run(self, feeds: dict[str, np.ndarray], fetches: list[str]) -> list[np.ndarray]:
        """The fetched tensors, given arrays by the names of the tensors they feed.

        Raises a TensorFlowError if TensorFlow does not answer.
        """
        inputs = (Output * len(feeds))(*map(self._output, feeds))
        outputs = (Output * len(fetches))(*map(self._output, fetches))
        values = (c_void_p * len(feeds))(*map(self._tensor, feeds.values()))
        results = (c_void_p * len(fetches))()
        try:
            with self._checked() as status:
                self.tf.TF_SessionRun(
                    *(self.session, None, inputs, values, len(feeds)),
                    *(outputs, results, len(fetches), None, 0, None, status),
                )
            return [self._array(result) for result in results]
        finally:
            for tensor in filter(None, (*values, *results)):
                self.tf.TF_DeleteTensor(tensor)

    def close(self) -> None:
        """Frees the session; its graph stays."""
        with self._checked() as status:
            self.tf.TF_DeleteSession(self.session, status)

    @contextmanager
    def _checked(self):
        """A status for one call, and the error it holds afterwards."""
        status = self.tf.TF_NewStatus()
        try:
            yield status
            if code := self.tf.TF_GetCode(status):
                message = self.tf.TF_Message(status).decode(errors="replace")
                raise TensorFlowError(code, message)
        finally:
            self.tf.TF_DeleteStatus(status)

    def _output(self, name):
        operation, index = name.split(":")
        found = self.tf.TF_GraphOperationByName(self.graph, operation.encode())
        return Output(found, int(index))

    def _tensor(self, array):
        """A tensor of an array; one of strings views its bytes, which must live on."""
        array, code = np.asarray(array, order="C"), CODES[array.dtype]
        dims = (c_int64 * array.ndim)(*array.shape)
        if array.dtype.kind == "O":
            content = (String * array.size)()
            for place, item in zip(content, array.flat):
                self.tf.TF_StringAssignView(byref(place), item, len(item))
            start, size = addressof(content), sizeof(content)
        else:
            start, size = array.ctypes.data, array.nbytes
        tensor = self.tf.TF_AllocateTensor(code, dims, array.ndim, size)
        memmove(self.tf.TF_TensorData(tensor), start, size)
        return tensor

    def _array(self, tensor):
        shape = [
            self.tf.TF_Dim(tensor, axis) for axis in range(self.tf.TF_NumDims(tensor))
        ]
        content = string_at(
            self.tf.TF_TensorData(tensor), self.tf.TF_TensorByteSize(tensor)
        )
        dtype = DTYPES[self.tf.TF_TensorType(tensor)]
        return np.frombuffer(content, dtype).reshape(shape)
