"""The page's server: static files, and one question at a time to the model."""

import asyncio
import contextlib
import inspect
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from recipes.explorer.pictures import MAX_BYTES, as_url
from recipes.explorer.views import Explorer, load
from recipes.web import bounded_body, listen
from zoo.checks import require

PAGE = Path(__file__).parent / "page"
MAX_BODY = 2 * MAX_BYTES  # of a question, with an image file in base64
GRACE = 2  # seconds that open questions have when the server ends


def serve(path: str, host: str, port: int) -> None:
    """Serves the page of an entry until it is interrupted; port 0 is any.

    Raises:
        FileNotFoundError, ValueError: as `recipes.explorer.views.load`.
        OSError: if the port is busy.
    """
    with listen(host, port) as listener:
        explorer, port = load(path), listener.getsockname()[1]

        @contextlib.asynccontextmanager
        async def lifespan(_):
            print(f"{explorer.name}: http://{host}:{port}, until Ctrl-C.", flush=True)
            yield

        config = uvicorn.Config(
            make_app(explorer, lifespan),
            log_level="warning",
            server_header=False,
            timeout_graceful_shutdown=GRACE,
        )
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run([listener])


def make_app(explorer: Explorer, lifespan=None) -> Starlette:
    """The application: `POST /ask/decode` with JSON calls `explorer.decode`."""
    views = ("about", "test", "encode", "decode", "interpolate", "samples")
    pool = ThreadPoolExecutor(1)

    async def ask(request: Request) -> Response:
        if request.path_params["view"] not in views:
            raise HTTPException(404, f"Views are {', '.join(views)}.")
        body = await bounded_body(request, MAX_BODY)
        view = getattr(explorer, request.path_params["view"])
        found = await asyncio.get_running_loop().run_in_executor(pool, run, view, body)
        return Response(found, media_type="application/json")

    return Starlette(
        routes=[
            Route("/ask/{view}", ask, methods=["POST"]),
            Mount("/", StaticFiles(directory=PAGE, html=True)),
        ],
        exception_handlers={ValueError: refuse, HTTPException: refuse_http},
        lifespan=lifespan,
    )


def run(view, body: bytes) -> str:
    """A view's answer to a JSON object of its arguments; images as data URLs."""
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"A question is JSON. Received: {error}") from None
    names = inspect.signature(view).parameters.keys()
    good = isinstance(asked, dict) and asked.keys() == names
    received = sorted(asked) if isinstance(asked, dict) else type(asked).__name__
    wanted = f"A question is a JSON object of: {', '.join(names) or 'nothing'}."
    require(good, wanted, str(received)[:100])
    return json.dumps(view(**asked), default=as_url)


async def refuse(_, error: ValueError) -> JSONResponse:
    """Says what was wrong with a question."""
    return JSONResponse({"error": str(error)}, 400)


async def refuse_http(_, error: HTTPException) -> JSONResponse:
    """Says why, for paths, methods and sizes."""
    return JSONResponse({"error": error.detail}, error.status_code)
