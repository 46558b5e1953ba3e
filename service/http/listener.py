"""The listening socket, and what is said on it before there is a request that a route could answer."""

import asyncio
from asyncio import Server

from aiohttp import web
from aiohttp.web_request import BaseRequest

from service.errors import BodyTooLarge, InvalidRequest, Problem
from service.http.problems import error_response, internal_response
from service.http.responses import CORRELATION_ID
from service.ids import new_id

BACKLOG = 1024


class Connection(web.RequestHandler):
    """One caller's connection. What is no HTTP is refused in the same envelope as everything else."""

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
        return response


async def listen(runner: web.AppRunner, *, host: str, port: int) -> Server:
    """Serve a runner that was set up. Raises: OSError."""
    server = runner.server
    assert server is not None  # noqa: S101  # `setup` came first
    loop = asyncio.get_running_loop()

    def connect() -> Connection:
        return Connection(server, loop=loop, access_log=None)  # type: ignore[arg-type]  # how aiohttp has it switched off

    return await loop.create_server(connect, host, port, backlog=BACKLOG)
