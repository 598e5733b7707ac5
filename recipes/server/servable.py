"""One version of one model, and what TensorFlow Serving would answer about it."""

from collections.abc import Iterable
from pathlib import Path

import grpc
import numpy as np
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
)

from recipes.layout import LABEL
from recipes.server.saved_model import DTYPES, SavedModel, TensorFlowError

PREDICT = "tensorflow/serving/predict"  # what TensorFlow calls such signatures
STATUS = {code.value[0]: code for code in grpc.StatusCode}


class Refused(Exception):
    """What a client is told: a status of gRPC and a short text."""

    def __init__(self, status: grpc.StatusCode, message: str):
        super().__init__(message[:1000].encode(errors="replace").decode())
        self.status = status


def require(good: bool, wanted: str, received) -> None:
    """Refuses a request as invalid, and says what is wanted and what was received."""
    if not good:
        message = f"{wanted} Received: {received}"
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, message)


def check_names(signature, inputs: Iterable[str]) -> None:
    """Refuses inputs unless they are just those of a signature."""
    wanted = f"Inputs are {', '.join(sorted(signature.inputs))}."
    received = ", ".join(sorted(inputs)) or "none"
    require(set(inputs) == set(signature.inputs), wanted, received)


class Servable:
    """A loaded model. No name from a request ever becomes part of a path.

    Args:
        name: what requests call it.
        folder: an exported version, its name a number.
    """

    def __init__(self, name: str, folder: Path):
        self.name, self.version = name, int(folder.name)
        file = saved_model_pb2.SavedModel.FromString(
            (folder / "saved_model.pb").read_bytes()
        )
        if not file.meta_graphs:
            raise ValueError(f"{folder} is damaged: its saved_model.pb has no graph.")
        self.signatures = {
            name: signature
            for name, signature in file.meta_graphs[0].signature_def.items()
            if signature.method_name == PREDICT
        }
        self.saved_model = SavedModel(folder)

    def resolve(self, spec: model_pb2.ModelSpec) -> model_pb2.ModelSpec:
        """The spec with the version that is served, if it means this model."""
        version = spec.version.value if spec.HasField("version") else self.version
        if (spec.name, version) != (self.name, self.version):
            here = f"Here is {self.name!r}, version {self.version}, alone."
            received = f"{spec.name!r}, version {version}"
            raise Refused(grpc.StatusCode.NOT_FOUND, f"{here} Received: {received}")
        wanted = f"The only label here is {LABEL!r}."
        require(spec.version_label in ("", LABEL), wanted, repr(spec.version_label))
        resolved = model_pb2.ModelSpec(
            name=self.name, signature_name=spec.signature_name
        )
        resolved.version.value = self.version
        return resolved

    def signature(self, spec: model_pb2.ModelSpec):
        """The `SignatureDef` that a request means."""
        self.resolve(spec)
        name = spec.signature_name or "serving_default"
        wanted = f"Signatures are {', '.join(sorted(self.signatures))}."
        require(name in self.signatures, wanted, repr(name))
        return self.signatures[name]

    def predict(
        self,
        spec: model_pb2.ModelSpec,
        inputs: dict[str, np.ndarray],
        wanted: Iterable[str] = (),
    ) -> dict[str, np.ndarray]:
        """The outputs by name; all of them if none is `wanted` in particular.

        Shapes and values are checked by the graph itself.
        """
        signature = self.signature(spec)
        check_names(signature, inputs)
        for key, value in inputs.items():
            dtype = DTYPES[signature.inputs[key].dtype]
            require(value.dtype == dtype, f"{key} must be {dtype}.", value.dtype)
        names = list(wanted) or sorted(signature.outputs)
        unknown = sorted(set(names) - set(signature.outputs))
        require(not unknown, f"Outputs are {', '.join(signature.outputs)}.", unknown)
        feeds = {signature.inputs[key].name: value for key, value in inputs.items()}
        fetches = [signature.outputs[name].name for name in names]
        try:
            return dict(zip(names, self.saved_model.run(feeds, fetches)))
        except TensorFlowError as error:
            raise Refused(STATUS[error.code], str(error)) from None

    def status(self, spec: model_pb2.ModelSpec):
        """A `GetModelStatusResponse`: the version is there."""
        answer = get_model_status_pb2.GetModelStatusResponse()
        version = self.resolve(spec).version.value
        state = get_model_status_pb2.ModelVersionStatus.AVAILABLE
        entry = answer.model_version_status.add(version=version, state=state)
        entry.status.SetInParent()  # an empty one is OK
        return answer

    def metadata(self, spec: model_pb2.ModelSpec):
        """A `GetModelMetadataResponse` with the signatures."""
        answer = get_model_metadata_pb2.GetModelMetadataResponse(
            model_spec=self.resolve(spec)
        )
        answer.metadata["signature_def"].Pack(self.signature_map())
        return answer

    def signature_map(self):
        """The signatures as a message."""
        return get_model_metadata_pb2.SignatureDefMap(signature_def=self.signatures)
