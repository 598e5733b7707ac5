"""The process behind `python -m recipes serve`: NAME BASE HOST GRPC_PORT REST_PORT."""

import contextlib
import importlib.util
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# What fails is raised all the same; neither library need write about it.
os.environ |= {"GRPC_VERBOSITY": "NONE", "TF_CPP_MIN_LOG_LEVEL": "3"}

# An empty package in TensorFlow's place: its protobuf classes load without the rest.
SPEC = importlib.util.find_spec("tensorflow")
sys.modules["tensorflow"] = importlib.util.module_from_spec(SPEC)

try:
    import uvicorn
    from google.protobuf.message import DecodeError

    from recipes.quiet import quiet
    from recipes.server.grpc_api import make_server
    from recipes.server.rest import make_app
    from recipes.server.servable import Servable
    from recipes.web import listen
except ModuleNotFoundError as error:
    sys.exit(f"{error}. The server needs: pip install '.[serving]'")

THREADS = 8  # requests at work at a time; others wait
GRACE = 5  # seconds that they have when the server ends


def serve(name: str, base: Path, host: str, grpc_port: int, rest_port: int) -> None:
    """Serves the newest version in `base` until it is interrupted; port 0 is any.

    Raises:
        FileNotFoundError: if there is no version.
        OSError: if a port is busy.
        RuntimeError: if TensorFlow cannot load the version.
    """
    versions = [path for path in base.glob("*") if path.name.isdecimal()]
    if not versions:
        wanted = "Nothing is exported: see `python -m recipes export --help`."
        raise FileNotFoundError(f"{wanted} Received: {base}")
    listener = listen(host, rest_port)
    listen(host, grpc_port).close()  # gRPC's own error is long
    with quiet():
        servable = Servable(name, max(versions, key=lambda path: int(path.name)))
    pool = ThreadPoolExecutor(THREADS)
    server = make_server(servable, pool)
    grpc_port = server.add_insecure_port(f"{host}:{grpc_port}")
    rest_port = listener.getsockname()[1]

    @contextlib.asynccontextmanager
    async def lifespan(_):
        server.start()
        print(greeting(servable, host, grpc_port, rest_port), flush=True)
        yield
        server.stop(GRACE).wait()

    config = uvicorn.Config(
        make_app(servable, pool, lifespan),
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=GRACE,
    )
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run([listener])


def greeting(servable: Servable, host: str, grpc_port: int, rest_port: int) -> str:
    """Where the model is, and a request that works."""
    inputs = {
        key: ones(info) for key, info in servable.signatures["sample"].inputs.items()
    }
    body = json.dumps({"signature_name": "sample", "inputs": inputs})
    return f"""\
{servable.name}, version {servable.version}: grpc://{host}:{grpc_port} and \
http://{host}:{rest_port}, until Ctrl-C. Try:
  curl -d '{body}' http://{host}:{rest_port}/v1/models/{servable.name}:predict"""


def ones(info):
    """An input of one row."""
    value = 1
    for dim in reversed(info.tensor_shape.dim):
        value = [value] * abs(dim.size)  # of an unknown number of rows: -1
    return value


if __name__ == "__main__":
    name, base, host, *ports = sys.argv[1:]
    try:
        serve(name, Path(base), host, *map(int, ports))
    except (OSError, RuntimeError, ValueError, DecodeError) as error:
        sys.exit(f"Error: {error}")
