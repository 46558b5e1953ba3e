"""What is left of a workspace's rate, in the headers of every answer about one of its runs."""

from collections.abc import Callable
from typing import Final, TypeVar

from aiohttp import web

from service.http.responses import RunResponse, rate_headers
from service.http.skep import Skep

H = TypeVar("H", bound=Callable[..., object])

_METERED: Final[set[object]] = set()


def metered(handler: H) -> H:
    """For handlers that run something: what they answer tells what is left."""
    _METERED.add(handler)
    return handler


def tell_rate(skep: Skep, request: web.Request, handler: object, response: web.StreamResponse) -> None:
    """Only where there is a rate, and only for who was let in."""
    rate = skep.rates.state(request.match_info["workspace"]) if handler in _METERED else None
    if rate is None:
        return
    if isinstance(response, RunResponse):
        response.rate = rate
    else:
        response.headers.update(rate_headers(rate))
