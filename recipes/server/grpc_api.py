"""TensorFlow Serving's gRPC protocol: Predict, GetModelMetadata, GetModelStatus."""

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager

import grpc
from tensorflow_serving.apis import (
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from recipes.server.servable import Refused, Servable, require
from recipes.server.tensors import MAX_BYTES, from_proto, to_proto

OPTIONS = (
    ("grpc.so_reuseport", 0),  # a busy port is an error
    ("grpc.max_receive_message_length", MAX_BYTES),
    ("grpc.max_send_message_length", -1),
)


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Answers of one model; other calls of the service are unimplemented."""

    def __init__(self, servable: Servable):
        self.servable = servable

    def Predict(self, request, context):
        with refusals(context):
            inputs = {k: from_proto(k, v) for k, v in request.inputs.items()}
            spec = request.model_spec
            outputs = self.servable.predict(spec, inputs, request.output_filter)
            return predict_pb2.PredictResponse(
                model_spec=self.servable.resolve(spec),
                outputs={k: to_proto(v) for k, v in outputs.items()},
            )

    def GetModelMetadata(self, request, context):
        with refusals(context):
            wanted = "The only metadata_field is signature_def."
            fields = list(request.metadata_field)
            require(fields == ["signature_def"], wanted, fields)
            return self.servable.metadata(request.model_spec)


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """The state of one model; it cannot be reloaded."""

    def __init__(self, servable: Servable):
        self.servable = servable

    def GetModelStatus(self, request, context):
        with refusals(context):
            return self.servable.status(request.model_spec)


@contextmanager
def refusals(context: grpc.ServicerContext) -> Iterator[None]:
    """Ends a call with the status of what it is refused for."""
    try:
        yield
    except Refused as refused:
        context.abort(refused.status, str(refused))


def make_server(servable: Servable, pool: Executor) -> grpc.Server:
    """A server that runs calls in the pool; it has no port yet."""
    server = grpc.server(pool, options=OPTIONS)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        PredictionService(servable), server
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(
        ModelService(servable), server
    )
    return server
