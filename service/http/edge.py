"""What happens to every request: an id, an answer for every failure, one line in the log.

A wrapper around each handler and not a middleware: aiohttp's chain of middlewares costs every request some 5 µs, and
this is on the path of every run.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Final

import structlog
from aiohttp import web
from multidict import istr

from service.domain.keys import without_keys
from service.errors import SkepError
from service.http.access import Access
from service.http.problems import error_response, internal_response
from service.http.rates import tell_rate
from service.http.responses import CORRELATION_ID, RunResponse
from service.http.skep import SKEP, Skep
from service.ids import new_id

CORRELATION_ID_MAX_CHARACTERS: Final = 128
_CORRELATION_ID: Final = istr(CORRELATION_ID)
_CALLER_LEFT: Final = web.Response(status=499)
"""Never sent: what the log says of a caller that did not wait for its answer."""

Handler = Callable[[Skep, web.Request], Awaitable[web.StreamResponse]]

_log = structlog.get_logger()


def edge(handler: Handler, access: Access) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """A handler as aiohttp takes it, with everything that happens to every request around it."""

    @wraps(handler)
    async def handle(request: web.Request) -> web.StreamResponse:
        return await respond(request.app[SKEP], request, handler, access)

    return handle


async def respond(skep: Skep, request: web.Request, handler: Handler, access: Access) -> web.StreamResponse:
    """Access, correlation id, errors, metrics, access log. The unexpected is logged here and only here."""
    started = time.perf_counter()
    correlation_id = _correlation_id(request)
    is_let_in = False
    try:
        if skep.changes.is_behind:
            await skep.changes.catch_up()
        access(skep, request)
        is_let_in = True
        response = await handler(skep, request)
    except asyncio.CancelledError:
        skep.metrics.request(_CALLER_LEFT.status)
        skep.access_log.record(request, _CALLER_LEFT, correlation_id, (time.perf_counter() - started) * 1000)
        raise
    except SkepError as error:
        response = error_response(error)
    except web.HTTPException as answer:
        skep.metrics.request(answer.status)
        raise  # no handler of ours raises one; what is aiohttp's stays aiohttp's
    except Exception:  # noqa: BLE001  # the edge: whatever it is, it is logged and the caller gets an answer
        _log.exception(
            "unexpected failure", method=request.method, path=without_keys(request.path), correlation=correlation_id
        )
        response = internal_response()
    if is_let_in and (skep.rates.buckets or skep.quotas.has_rates):
        tell_rate(skep, request, handler, response)
    if isinstance(response, RunResponse):
        response.correlation_id = correlation_id
    else:
        response.headers[CORRELATION_ID] = correlation_id
    skep.metrics.request(response.status)
    skep.access_log.record(request, response, correlation_id, (time.perf_counter() - started) * 1000)
    return response


def _correlation_id(request: web.Request) -> str:
    given = request.headers.get(_CORRELATION_ID)
    if given and len(given) <= CORRELATION_ID_MAX_CHARACTERS and given.isascii() and given.isprintable():
        # Sent by mistake in the wrong header, a key would be in the log.
        return without_keys(given) if "sk_" in given else given
    return new_id()
