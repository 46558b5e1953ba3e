"""The listening socket, and what is said on it before there is a request that a route could answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, cast

from aiohttp import web
from aiohttp.web_request import BaseRequest

from service.errors import AccessTooOpen, BodyTooLarge, InvalidRequest, Problem
from service.http.direct import IS_NEEDED, DirectLoop
from service.http.local import is_loopback
from service.http.problems import error_response, internal_response
from service.http.responses import CORRELATION_ID
from service.http.shortcut import shorten
from service.http.skep import SKEP
from service.ids import new_id
from service.metrics.metrics import Metrics

BACKLOG: Final = 1024
LINGER_S: Final = 1.0
"""What is not answered so long after the grace period is cut off."""


class Connection(web.RequestHandler):
    """One caller's connection. What is no HTTP is refused in the same envelope as everything else."""

    __slots__ = ("_metrics",)

    def __init__(self, server: web.Server, *, loop: asyncio.AbstractEventLoop, metrics: Metrics) -> None:
        super().__init__(server, loop=loop, access_log=None)  # type: ignore[arg-type]  # how aiohttp has it switched off
        self._metrics = metrics

    async def start(self) -> None:
        """Called by aiohttp once for each connection."""
        if IS_NEEDED:
            self._loop = cast("asyncio.AbstractEventLoop", DirectLoop(self._loop))
        await super().start()

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,  # noqa: ARG002  # says what the caller sent, and that stays with the caller
        message: str | None = None,  # noqa: ARG002  # the same
    ) -> web.StreamResponse:
        """Called by aiohttp for bytes that it cannot read as a request; nothing of them is repeated or logged.

        Raises: ConnectionError when an answer has begun already.
        """
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already")
        response: web.Response
        if status >= 500:  # noqa: PLR2004  # server errors
            response = internal_response()
        elif status == 413:  # noqa: PLR2004  # Content Too Large
            response = error_response(BodyTooLarge(0))
        else:
            response = error_response(InvalidRequest([Problem("", "this is not HTTP/1.1 as it is spoken here")]))
        response.headers[CORRELATION_ID] = new_id()
        response.force_close()
        if status < 500:  # noqa: PLR2004  # server errors come after an answer, which is the one that counts
            self._metrics.request(response.status)
        return response


@asynccontextmanager
async def listening(runner: web.AppRunner, *, host: str, port: int) -> AsyncIterator[str]:
    """Serve an application whose runner was set up; gives the address, which with port 0 only the system knows.

    On exit the socket is closed first, then every connection, when its request was answered. Raises: OSError,
    AccessTooOpen if others than this machine could come in without a key.
    """
    assert runner.server is not None  # noqa: S101  # `setup` came first
    server = shorten(runner.app, runner.server)
    loop = asyncio.get_running_loop()
    metrics, gate = runner.app[SKEP].metrics, runner.app[SKEP].gate

    def connect() -> Connection:
        return Connection(server, loop=loop, metrics=metrics)

    listener = await loop.create_server(connect, host, port, backlog=BACKLOG, start_serving=False)
    try:
        # Not the name but where it has led decides, and before anybody is listened to.
        gate.is_on_loopback = all(is_loopback(socket.getsockname()[0]) for socket in listener.sockets)
        if not gate.is_on_loopback and gate.keyring.is_open and not gate.keyring.is_open_to_all:
            raise AccessTooOpen(host)
        await listener.start_serving()
        yield _url(listener)
    finally:
        listener.close()
        server.pre_shutdown()
        await server.shutdown(LINGER_S)


def _url(listener: asyncio.Server) -> str:
    host, port = listener.sockets[0].getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
