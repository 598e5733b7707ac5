"""TensorFlow Serving's REST protocol: predict, status, metadata."""

import asyncio
import json
from concurrent.futures import Executor

import grpc
from google.protobuf.json_format import MessageToDict
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from tensorflow_serving.apis import model_pb2

from recipes.server.saved_model import DTYPES
from recipes.server.servable import Refused, Servable, check_names, require
from recipes.server.tensors import MAX_BYTES, from_json, is_coded
from recipes.web import bounded_body

HTTP = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
MODEL = "/v1/models/{name}"


def make_app(servable: Servable, pool: Executor, lifespan) -> Starlette:
    """The application; it runs the model in the pool, `lifespan` around all of it."""

    async def predict(request: Request) -> JSONResponse:
        spec, body = model_spec(request), await bounded_body(request, MAX_BYTES)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(pool, answer, servable, spec, body)

    async def status(request: Request) -> JSONResponse:
        return JSONResponse(as_dict(servable.status(model_spec(request))))

    async def metadata(request: Request) -> JSONResponse:
        spec = servable.resolve(model_spec(request))
        signatures = as_dict(servable.signature_map())
        return JSONResponse(
            {"model_spec": as_dict(spec), "metadata": {"signature_def": signatures}}
        )

    models = [MODEL + part for part in ("", "/versions/{version}", "/labels/{label}")]
    return Starlette(
        routes=[
            *(Route(f"{model}:predict", predict, methods=["POST"]) for model in models),
            *(Route(model, status) for model in models),
            *(Route(f"{model}/metadata", metadata) for model in models),
        ],
        exception_handlers={Refused: refuse, HTTPException: refuse_http},
        lifespan=lifespan,
    )


def model_spec(request: Request) -> model_pb2.ModelSpec:
    """Which model a path names."""
    named = request.path_params
    spec = model_pb2.ModelSpec(name=named["name"])
    if "label" in named:
        spec.version_label = named["label"]
    if "version" in named:
        short = named["version"].isdecimal() and len(named["version"]) < 19
        require(short, "A version is a number of at most 18 digits.", named["version"])
        spec.version.value = int(named["version"])
    return spec


def answer(servable: Servable, spec: model_pb2.ModelSpec, body: bytes) -> JSONResponse:
    """Reads a request to predict, runs the model, writes its outputs as asked."""
    request = as_object(body)
    spec.signature_name = request.get("signature_name", "serving_default")
    signature = servable.signature(spec)
    columns, rows = request.get("inputs"), request.get("instances")
    wanted = "The body must have either `inputs` or `instances`."
    require((columns is None) != (rows is None), wanted, sorted(request))
    if columns is None:
        columns = as_columns(rows)
    if not isinstance(columns, dict):  # a single input needs no name
        columns = dict.fromkeys(list(signature.inputs)[:1], columns)
    check_names(signature, columns)
    inputs = {
        key: from_json(key, value, DTYPES[signature.inputs[key].dtype])
        for key, value in columns.items()
    }
    outputs = servable.predict(spec, inputs)
    outputs = {key: value.tolist() for key, value in outputs.items()}
    if len(outputs) == 1:
        (found,) = outputs.values()
    elif rows is None:
        found = outputs
    else:
        found = [dict(zip(outputs, row)) for row in zip(*outputs.values())]
    return JSONResponse({"outputs" if rows is None else "predictions": found})


def as_object(body: bytes) -> dict:
    """The JSON object of a body."""
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as error:
        request = f"{type(error).__name__}: {error}"
    shown = request if isinstance(request, str) else type(request).__name__
    require(isinstance(request, dict), "The body must be a JSON object.", shown)
    name = request.get("signature_name", "")
    good = isinstance(name, str) and name.isprintable()
    require(good, "signature_name must be a name.", name)
    return request


def as_columns(rows) -> dict | list:
    """Inputs by name out of `instances`; a list as it is if they have no names."""
    good = isinstance(rows, list) and rows
    require(good, "instances must be a list of rows.", type(rows).__name__)
    if not isinstance(rows[0], dict) or is_coded(rows[0]):
        return rows
    alike = all(isinstance(row, dict) and row.keys() == rows[0].keys() for row in rows)
    require(alike, "instances must all have the same names.", list(rows[0]))
    return {key: [row[key] for row in rows] for key in rows[0]}


def as_dict(message) -> dict:
    """A message as TensorFlow Serving writes it in JSON."""
    return MessageToDict(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
    )


async def refuse(_, refused: Refused) -> JSONResponse:
    """Says why, with the HTTP status of gRPC's."""
    return JSONResponse({"error": str(refused)}, HTTP.get(refused.status, 500))


async def refuse_http(_, error: HTTPException) -> JSONResponse:
    """Says why, for paths, methods and sizes."""
    return JSONResponse({"error": error.detail}, error.status_code)
