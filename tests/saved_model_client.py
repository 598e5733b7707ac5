"""Runs SavedModels as a server does: TensorFlow's C++ loader, no Python TensorFlow.

    python saved_model_client.py < questions > answers

Both streams are pickles, one for each model. A question is `(folder, requests)`, a
request `(feeds, fetches)`: arrays by tensor name, and tensor names. The answer is a
list: of each request the list of fetched arrays, or the error message.
"""

import importlib.util
import pickle
import sys
from ctypes import (
    CDLL,
    POINTER,
    Structure,
    c_char_p,
    c_int,
    c_int64,
    c_size_t,
    c_void_p,
    memmove,
    string_at,
)
from pathlib import Path

import numpy as np

DTYPES = {1: np.float32, 3: np.int32, 9: np.int64}  # TF_FLOAT, TF_INT32, TF_INT64


class Output(Structure):
    """`TF_Output`: one output of one operation."""

    _fields_ = [("operation", c_void_p), ("index", c_int)]


def load_library():
    """TensorFlow's C API out of the installed wheel, with the types of its calls."""
    package = importlib.util.find_spec("tensorflow").submodule_search_locations[0]
    library = CDLL(str(next(Path(package).glob("libtensorflow_cc.*2*"))))
    pointer, size = c_void_p, c_size_t
    for name, result, *arguments in (
        ("TF_NewStatus", pointer),
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


class Server:
    """One loaded SavedModel."""

    def __init__(self, folder: str):
        self.tf = load_library()
        self.status = self.tf.TF_NewStatus()
        self.graph = self.tf.TF_NewGraph()
        options, tags = self.tf.TF_NewSessionOptions(), (c_char_p * 1)(b"serve")
        self.session = self.tf.TF_LoadSessionFromSavedModel(
            options, None, folder.encode(), tags, 1, self.graph, None, self.status
        )
        self._raise_on_error()

    def run(self, feeds: dict[str, np.ndarray], fetches: list[str]):
        """The fetched arrays; a RuntimeError with the server's message if it fails."""
        inputs = (Output * len(feeds))(*map(self._output, feeds))
        outputs = (Output * len(fetches))(*map(self._output, fetches))
        values = (c_void_p * len(feeds))(*map(self._tensor, feeds.values()))
        results = (c_void_p * len(fetches))()
        try:
            self.tf.TF_SessionRun(
                *(self.session, None, inputs, values, len(feeds)),
                *(outputs, results, len(fetches), None, 0, None, self.status),
            )
            self._raise_on_error()
            return [self._array(result) for result in results]
        finally:
            for tensor in filter(None, (*values, *results)):
                self.tf.TF_DeleteTensor(tensor)

    def close(self):
        self.tf.TF_DeleteSession(self.session, self.status)

    def _output(self, name):
        operation, index = name.split(":")
        found = self.tf.TF_GraphOperationByName(self.graph, operation.encode())
        return Output(found, int(index))

    def _tensor(self, array):
        dtype = next(code for code, dtype in DTYPES.items() if dtype == array.dtype)
        dims = (c_int64 * array.ndim)(*array.shape)
        tensor = self.tf.TF_AllocateTensor(dtype, dims, array.ndim, array.nbytes)
        memmove(self.tf.TF_TensorData(tensor), array.tobytes(), array.nbytes)
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

    def _raise_on_error(self):
        if self.tf.TF_GetCode(self.status):
            raise RuntimeError(self.tf.TF_Message(self.status).decode())


def main() -> None:
    while sys.stdin.buffer.peek(1):
        folder, requests = pickle.load(sys.stdin.buffer)
        server, answers = Server(folder), []
        for feeds, fetches in requests:
            try:
                answers.append(server.run(feeds, fetches))
            except RuntimeError as error:
                answers.append(str(error))
        server.close()
        assert not {"tensorflow", "keras", "zoo"} & set(sys.modules)
        pickle.dump(answers, sys.stdout.buffer)
        sys.stdout.flush()


if __name__ == "__main__":
    main()
