"""What happens to every request: an id, an answer for every failure, one line in the log."""

import time
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from aiohttp import web

from service.errors import BodyTooLarge, MethodRefused, RouteNotFound, SkepError
from service.http.keys import SETTINGS
from service.http.problems import error_response, internal_response
from service.ids import new_id

CORRELATION_ID: Final = "x-correlation-id"
CORRELATION_ID_MAX_CHARACTERS: Final = 128

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_access = structlog.get_logger()
_log = structlog.get_logger()


@web.middleware
async def edge(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Correlation id, errors, access log. The unexpected is logged here and only here."""
    started = time.perf_counter()
    correlation_id = _correlation_id(request)
    try:
        response = await handler(request)
    except SkepError as error:
        response = error_response(error)
    except web.HTTPException as raised:
        response = _translate(request, raised)
    except Exception:  # noqa: BLE001  # the edge: whatever it is, it is logged and the caller gets an answer
        _log.exception("unexpected failure", method=request.method, path=request.path, correlation=correlation_id)
        response = internal_response()
    response.headers[CORRELATION_ID] = correlation_id
    match = request.match_info
    _access.info(
        "request",
        method=request.method,
        path=request.path,
        status=response.status,
        ms=round((time.perf_counter() - started) * 1000, 3),
        workspace=match.get("workspace"),
        function=match.get("function"),
        run=response.headers.get("x-run-id"),
        correlation=correlation_id,
    )
    return response


def _correlation_id(request: web.Request) -> str:
    given = request.headers.get(CORRELATION_ID)
    if given and len(given) <= CORRELATION_ID_MAX_CHARACTERS and given.isascii() and given.isprintable():
        return given
    return new_id()


def _translate(request: web.Request, raised: web.HTTPException) -> web.StreamResponse:
    """aiohttp's own answers in our envelope; redirects and the like pass as they are."""
    match raised:
        case web.HTTPNotFound():
            return error_response(RouteNotFound(f"There is nothing at {request.path[:200]!r}."))
        case web.HTTPMethodNotAllowed(allowed_methods=allowed):
            return error_response(MethodRefused(request.method, set(allowed)))
        case web.HTTPRequestEntityTooLarge():
            return error_response(BodyTooLarge(request.app[SETTINGS].request_max_bytes))
        case _:
            return raised
