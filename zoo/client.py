"""Asks a server of an exported model, TensorFlow Serving or `python -m recipes serve`.

    from zoo.client import Client

    client = Client("conv_vae_mnist", "grpc://127.0.0.1:8500")  # or http://...:8501
    images = client.sample(16, seed=0)  # [16, 28, 28, 1]

REST sends numbers as text: for images gRPC is several times as fast.
"""

import random
import re
import time
from urllib.parse import urlsplit

import numpy as np

from zoo.checks import require
from zoo.transports import FIRST_WAIT, GRPC, LONGEST_WAIT, REST, UNAVAILABLE, Failure

DTYPES = {"DT_FLOAT": "float32", "DT_INT32": "int32", "DT_INT64": "int64"}
DTYPES |= {"DT_STRING": "object"}  # of bytes
PREDICT = "tensorflow/serving/predict"  # what the server calls such signatures
LATENT = re.compile(r"z(?:_(\d+)(_bu|_td)?)?")
STDDEV = "{}_stddev"  # of a latent layer, by its name


class Client:
    """A served model, with the methods of the model in Python. Threads may share it.

    Inputs are arrays or lists, cast to the dtypes of the model; `given` are conditions
    by name, B rows each. `reconstruct` and `anomaly_score` also take a list of PNG or
    JPEG files as `bytes`, of the model's height and width. Where every input has rows,
    as many as you like are sent, `rows` at a time. One seed for all rows ties them
    together: such requests go whole, and the server takes 1024 rows. Give a seed for
    each row, `[B]`, to send more, and to a server that batches.

    Args:
        model: its name on the server.
        url: `grpc://HOST:PORT`, `http://HOST:PORT` or `https://HOST:PORT`.
        version: a number or a label; by default the server's newest version. Name one
            if the server may load another between the parts of a large batch.
        timeout: seconds for the answer to a request, attempts included; of a REST
            answer that comes in pieces, for each. What is not reachable is asked again
            until then; nothing else is.
        rows: the most that go into one request.

    Raises:
        ValueError: by every method, if the server refuses the request or has no such
            model, version or signature; the message is the server's.
        ConnectionError: likewise, if it cannot be reached.
        TimeoutError: likewise, if it does not answer in time.
        RuntimeError: likewise, if it fails otherwise.
    """

    def __init__(
        self,
        model: str,
        url: str = "grpc://127.0.0.1:8500",
        *,
        version: int | str | None = None,
        timeout: float = 60.0,
        rows: int = 256,
    ):
        scheme, host, *_ = urlsplit(url)
        known = scheme in ("grpc", "http", "https") and host
        require(known, "url must be grpc://HOST:PORT or http://HOST:PORT.", url)
        self.model, self.url = model, url
        self.timeout, self.rows = timeout, rows
        self._server = (GRPC if scheme == "grpc" else REST)(url, model, version)
        self._signatures = None

    def reconstruct(self, x, given: dict | None = None) -> np.ndarray:
        """The images of the codes of x, `[B, *event_shape]` as x."""
        return self._of_images("serving_default", "reconstruction", x, given)

    def encode(self, x, given: dict | None = None) -> list[np.ndarray]:
        """Means of the posteriors, `[B, ...]`, top layer first."""
        return [mean for mean, _ in self.moments(x, given)]

    def moments(
        self, x, given: dict | None = None
    ) -> list[tuple[np.ndarray, np.ndarray | None]]:
        """Means and standard deviations of the posteriors, None where there is none."""
        answer = self.predict("encode", x=x, **(given or {}))
        names = top_first(answer)
        return [(answer[name], answer.get(STDDEV.format(name))) for name in names]

    def decode(self, *z, given: dict | None = None) -> np.ndarray:
        """Means of p(x|z), `[B, *event_shape]`; all layers of z, top first."""
        names = top_first(self._signature("decode")[0])
        wanted = f"decode takes {', '.join(names)}."
        require(len(z) == len(names), wanted, f"{len(z)} layers")
        inputs = dict(zip(names, z)) | (given or {})
        return self.predict("decode", **inputs)["mean"]

    def sample(self, n: int = 1, given: dict | None = None, *, seed=0) -> np.ndarray:
        """Means of p(x|z), z from the prior, `[B, *event_shape]`.

        B is n, or the number of rows of the conditions, or of seeds.
        """
        name = "sample_batched" if np.ndim(seed) else "sample"
        rows = given or ({} if np.ndim(seed) else {"n": n})
        return self.predict(name, seed=seed, **rows)["x"]

    def log_prob(
        self,
        x,
        given: dict | None = None,
        *,
        num_importance_samples: int = 128,
        seed=0,
    ) -> np.ndarray:
        """Importance-weighted estimates of log p(x) in nats, `[B]`.

        An exact model takes neither samples nor a seed, and does not use them.
        """
        inputs = {"x": x, **(given or {})}
        name = "log_prob_batched" if np.ndim(seed) else "log_prob"
        if "seed" in self._signature("log_prob")[0]:
            draws = np.broadcast_to(num_importance_samples, np.shape(seed))
            inputs |= {"seed": seed, "num_importance_samples": draws}
        else:
            name = "log_prob"
        return self.predict(name, **inputs)["log_prob"]

    def anomaly_score(self, x, given: dict | None = None) -> np.ndarray:
        """The share of training images that are likelier, `[B]` in [0, 1]."""
        return self._of_images("anomaly_score", "anomaly_score", x, given)

    def predict(self, signature: str, **inputs) -> dict[str, np.ndarray]:
        """The outputs of a signature by name, given all of its inputs."""
        return self._predict(signature, inputs)

    def close(self) -> None:
        """Closes the connection."""
        self._server.close()

    def _predict(self, signature, inputs, only=None):
        """All outputs by name, or one alone."""
        wanted, outputs = self._signature(signature)
        if only:
            known = f"{signature} answers {', '.join(sorted(outputs))}."
            require(only in outputs, known, only)
            outputs = {only: outputs[only]}
        names = f"{signature} takes {', '.join(wanted)}."
        require(inputs.keys() == wanted.keys(), names, ", ".join(inputs) or "none")
        inputs = {k: cast(k, value, wanted[k]) for k, value in inputs.items()}
        parts = [
            self._ask(self._server.predict, signature, part, list(outputs))
            for part in split(inputs, self.rows)
        ]
        return {
            name: np.concatenate([np.asarray(part[name], dtype) for part in parts])
            for name, dtype in outputs.items()
        }

    def _of_images(self, signature, output, x, given):
        """An output for images as arrays or as files, `[B, ...]`."""
        require(not isinstance(x, bytes), "Files come in a list.", "bytes")
        name = "x"
        if isinstance(x, list | tuple) and any(isinstance(file, bytes) for file in x):
            signature, name = "reconstruct_bytes", "image_bytes"
        answer = self._predict(signature, {name: x, **(given or {})}, only=output)
        return answer[output]

    def _signature(self, name):
        """Dtypes of a signature's inputs and of its outputs, by name."""
        if self._signatures is None:
            self._signatures = {
                name: tuple(
                    {k: DTYPES[info["dtype"]] for k, info in signature[part].items()}
                    for part in ("inputs", "outputs")
                )
                for name, signature in self._ask(self._server.signatures).items()
                if signature["method_name"] == PREDICT
            }
        wanted = f"Signatures are {', '.join(sorted(self._signatures))}."
        require(name in self._signatures, wanted, repr(name))
        return self._signatures[name]

    def _ask(self, method, *arguments):
        """The answer of a server's method, which is told how many seconds are left."""
        deadline, wait = time.monotonic() + self.timeout, FIRST_WAIT
        while True:
            try:
                return method(*arguments, max(deadline - time.monotonic(), 1e-3))
            except Failure as failure:
                pause = wait * random.uniform(0.5, 1)  # clients must not come at once
                over = time.monotonic() + pause > deadline
                if failure.code != UNAVAILABLE or over:
                    raise failure.explained(self.url) from None
            time.sleep(pause)
            wait = min(2 * wait, LONGEST_WAIT)


def cast(name: str, value, dtype: str) -> np.ndarray:
    """An array of the dtype; whole numbers must stay what they are."""
    if dtype == "object":
        array = np.array(value, dtype)
        others = {type(item).__name__ for item in array.flat} - {"bytes"}
        require(not others, f"{name} must be bytes.", ", ".join(others))
        return array
    array = np.asarray(value)
    require(array.dtype.kind in "biuf", f"{name} must be numbers.", array.dtype)
    result = array.astype(dtype)
    kept = result.dtype.kind == "f" or np.array_equal(result, array)
    require(kept, f"{name} must be {dtype}.", f"{array.dtype}, {array.ravel()[:3]}")
    return result


def split(inputs: dict[str, np.ndarray], rows: int) -> list[dict[str, np.ndarray]]:
    """The inputs in parts of so many rows, where all of them have as many rows."""
    counts = {len(value) if value.ndim else None for value in inputs.values()}
    count = counts.pop()
    if counts or not count:  # the server says what is wrong
        return [inputs]
    starts = range(0, count, rows)
    return [{k: v[i : i + rows] for k, v in inputs.items()} for i in starts]


def top_first(names) -> list[str]:
    """Those names that are latents', by layer: z, or z_L, ..., z_1."""
    found = filter(None, map(LATENT.fullmatch, names))
    found = sorted(found, key=lambda name: (-int(name[1] or 1), name[2] or ""))
    return [name[0] for name in found]
