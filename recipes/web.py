"""What the local servers share: a socket that listens, a body that is bounded."""

import socket

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 is any that is free.

    Raises:
        OSError: if the address cannot be had.
    """
    try:
        listener = socket.create_server((host, port))
    except OSError as error:
        why = error.strerror.partition(" (")[0]  # Python appends the address
        raise OSError(f"Cannot listen: {why}. Received: {host}:{port}") from None
    # asyncio forgets it for such sockets: every answer would wait for 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


async def bounded_body(request: Request, limit: int) -> bytes:
    """The body; more than `limit` bytes are not read.

    Raises:
        HTTPException: 413, if there are more; 400, if the client leaves before its end.
    """
    too_large = HTTPException(413, f"A request must have at most {limit} bytes.")
    if int(request.headers.get("content-length", 0)) > limit:
        raise too_large
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > limit:
                raise too_large
    except ClientDisconnect:
        raise HTTPException(400, "The body ended early.") from None
    return bytes(body)
