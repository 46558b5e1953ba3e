"""The way past the router for the one request that nearly all are: a run of a stored function.

aiohttp resolves a route in some 5 µs, a tenth of what such a request costs in all. Where Skep listens itself, one
regular expression decides, and what it does not match goes the ordinary way: other methods and paths, names in
percent-encoding or beyond ASCII, a query, an expectation. Mounted in another application, all requests go that way.
Both end in the same handler.
"""

import asyncio
import re
from typing import Any, Final

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_request import BaseRequest

from service.domain.access import Need
from service.http.access import allows
from service.http.edge import respond
from service.http.runs import run_function
from service.http.skep import SKEP

_RUN_PATH: Final = re.compile(
    r"/v2/functions/([A-Za-z0-9][A-Za-z0-9_-]{0,62})/run/([A-Za-z][A-Za-z0-9_]{0,63})", re.ASCII
)


class RunMatch(dict[str, str]):
    """Names by their place in the path, as a resolved route has them."""

    apps: tuple[web.Application, ...] = ()
    """Applications whose signals a response goes through: none, since none was asked."""


class RunRequest(web.Request):
    """A run of a stored function, recognised by its path."""

    ATTRS = web.Request.ATTRS | frozenset({"_run"})

    def __init__(self, *parts: Any, run: RunMatch) -> None:
        super().__init__(*parts)
        self._run = run

    @property
    def match_info(self) -> RunMatch:  # type: ignore[override]  # all of it that is ever asked for
        """The names in the path."""
        return self._run


def shorten(app: web.Application, server: web.Server) -> web.Server:
    """A server in front of an application's own. Callers that leave cancel their runs."""
    skep = app[SKEP]
    loop = asyncio.get_running_loop()
    may_run = allows(Need.RUN)
    make_ordinary, handle_ordinary = server.request_factory, server.request_handler

    def make_request(
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: "asyncio.Task[None]",
    ) -> BaseRequest:
        if message.method == "POST":
            match = _RUN_PATH.fullmatch(message.path)
            if match is not None and "Expect" not in message.headers:
                run = RunMatch(workspace=match[1], function=match[2])
                return RunRequest(message, payload, protocol, writer, task, loop, run=run)
        return make_ordinary(message, payload, protocol, writer, task)

    async def handle(request: BaseRequest) -> web.StreamResponse:
        if type(request) is RunRequest:
            return await respond(skep, request, run_function, may_run)
        return await handle_ordinary(request)

    return web.Server(handle, request_factory=make_request, handler_cancellation=True)
