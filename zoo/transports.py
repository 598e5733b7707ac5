"""TensorFlow Serving's two protocols: how a client's request and its answer travel."""

import base64
import json
import re
from urllib.parse import quote, urlsplit

import numpy as np
import tensorflow as tf

try:
    import grpc
    import requests
    from google.protobuf.json_format import MessageToDict
    from tensorflow_serving.apis import (
        get_model_metadata_pb2,
        predict_pb2,
        prediction_service_pb2_grpc,
    )
except ModuleNotFoundError as error:
    message = f"{error}. zoo.client needs: pip install '.[serving]'"
    raise ModuleNotFoundError(message) from None

UNAVAILABLE, LATE = "UNAVAILABLE", "DEADLINE_EXCEEDED"
CODES = {400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 503: UNAVAILABLE, 504: LATE}
ERRORS = {
    "INVALID_ARGUMENT": ValueError,
    "NOT_FOUND": ValueError,
    UNAVAILABLE: ConnectionError,
    LATE: TimeoutError,
}
FIRST_WAIT, LONGEST_WAIT = 0.1, 2.0  # seconds between two attempts
CHANNEL = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", int(1000 * FIRST_WAIT)),
    ("grpc.max_reconnect_backoff_ms", int(1000 * LONGEST_WAIT)),
)


class GRPC:
    """TensorFlow Serving's gRPC protocol."""

    def __init__(self, url: str, model: str, version: int | str | None):
        self.spec = {"name": model}
        if isinstance(version, str):
            self.spec["version_label"] = version
        elif version is not None:
            self.spec["version"] = {"value": version}
        self.channel = grpc.insecure_channel(urlsplit(url).netloc, CHANNEL)
        self.stub = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.close = self.channel.close

    def signatures(self, seconds: float) -> dict:
        """The signatures by name, as REST's metadata have them."""
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=self.spec, metadata_field=["signature_def"]
        )
        answer = self._call(self.stub.GetModelMetadata, request, seconds)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        answer.metadata["signature_def"].Unpack(signatures)
        return MessageToDict(
            signatures,
            preserving_proto_field_name=True,
            always_print_fields_with_no_presence=True,
        )["signature_def"]

    def predict(
        self, signature: str, inputs: dict, outputs: list[str], seconds: float
    ) -> dict[str, np.ndarray]:
        """The outputs by name."""
        request = predict_pb2.PredictRequest(
            model_spec={**self.spec, "signature_name": signature},
            inputs={k: tf.make_tensor_proto(value) for k, value in inputs.items()},
            output_filter=outputs,
        )
        answer = self._call(self.stub.Predict, request, seconds)
        return {name: tf.make_ndarray(answer.outputs[name]) for name in outputs}

    def _call(self, method, request, seconds):
        try:
            return method(request, timeout=seconds)
        except grpc.RpcError as error:
            raise Failure(error.code().name, error.details()) from None


class REST:
    """TensorFlow Serving's REST protocol."""

    def __init__(self, url: str, model: str, version: int | str | None):
        self.url = f"{url.rstrip('/')}/v1/models/{quote(model, safe='')}"
        if version is not None:
            kind = "labels" if isinstance(version, str) else "versions"
            self.url += f"/{kind}/{quote(str(version), safe='')}"
        self.session = requests.Session()
        self.close = self.session.close

    def signatures(self, seconds: float) -> dict:
        """The signatures by name."""
        metadata = self._call("GET", "/metadata", "metadata", seconds)
        return metadata["signature_def"]["signature_def"]

    def predict(
        self, signature: str, inputs: dict, outputs: list[str], seconds: float
    ) -> dict[str, list]:
        """The outputs by name, as nested lists."""
        inputs = {name: value.tolist() for name, value in inputs.items()}
        request = {"signature_name": signature, "inputs": inputs}
        request = json.dumps(request, default=in_base64)
        answer = self._call("POST", ":predict", "outputs", seconds, data=request)
        return answer if isinstance(answer, dict) else dict.fromkeys(outputs, answer)

    def _call(self, method, path, wanted, seconds, **options):
        try:
            answer = self.session.request(
                method, self.url + path, timeout=seconds, **options
            )
        except requests.Timeout as error:
            raise Failure(LATE, str(error)) from None
        except (
            requests.ConnectionError,
            requests.exceptions.ChunkedEncodingError,
        ) as error:
            raise Failure(UNAVAILABLE, str(error)) from None
        except requests.RequestException as error:
            raise Failure(type(error).__name__, str(error)) from None
        good = answer.ok
        try:
            found = answer.json()[wanted if good else "error"]
        except (ValueError, KeyError, TypeError):  # something else answers there
            good, found = False, answer.text[:200]
        if good:
            return found
        code = CODES.get(answer.status_code, f"HTTP {answer.status_code}")
        raise Failure(code, found)


class Failure(Exception):
    """What a server says in place of an answer: a name of gRPC's statuses, and why."""

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code

    def explained(self, url: str) -> Exception:
        """The error for a person: what the graph says, without where it says it."""
        message = re.sub(r"{{.*?}} |assertion failed: \[", "", str(self))
        message = message.split("\n")[0].replace("Received:]", "Received:")
        return ERRORS.get(self.code, RuntimeError)(f"{url}: {self.code}: {message}")


def in_base64(file: bytes) -> dict[str, str]:
    """Bytes as TensorFlow Serving takes them in JSON."""
    return {"b64": base64.b64encode(file).decode()}
