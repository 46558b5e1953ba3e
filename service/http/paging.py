"""Lists a page at a time: `limit` items, and a `cursor` that asks for those after them."""

import base64
import binascii
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final, NamedTuple

import orjson
from aiohttp import web

from service.domain.values import shown
from service.errors import InvalidRequest, Problem
from service.http.problems import JSON

LIMIT: Final = 50
LIMIT_MAX: Final = 500


class Page(NamedTuple):
    """What is asked for."""

    limit: int
    after: str | None
    """What the last item of the page before is known by; None for the first page."""
    filters: dict[str, str]
    """Other parameters of the query, each given once; what they say is for the caller to check."""


def page_of(request: web.Request, *, is_cursor: Callable[[str], bool], filters: Collection[str] = ()) -> Page:
    """The page that a query asks for. Raises: InvalidRequest with everything that is wrong."""
    offered = ["limit", "cursor", *filters]
    problems = [
        Problem(f"query.{shown(name)}", f"unknown parameter; there is {', '.join(offered)}")
        for name in dict.fromkeys(request.query.keys())
        if name not in offered
    ]
    problems += [
        Problem(f"query.{name}", "must be given once") for name in offered if len(request.query.getall(name, [])) > 1
    ]
    limit, after = LIMIT, None
    if (given := request.query.get("limit")) is not None:
        if given.isascii() and given.isdigit() and len(given) < 10 and 1 <= int(given) <= LIMIT_MAX:  # noqa: PLR2004
            limit = int(given)
        else:
            problems.append(Problem("query.limit", f"must be a number from 1 to {LIMIT_MAX}"))
    if (cursor := request.query.get("cursor")) is not None:
        after = _decoded(cursor)
        if not is_cursor(after):
            problems.append(Problem("query.cursor", "is not a cursor that was given out here"))
    if problems:
        raise InvalidRequest(problems)
    return Page(limit, after, {name: request.query[name] for name in filters if name in request.query})


def page_response(items: Sequence[Any], *, after: str | None) -> web.Response:
    """`after`: what the last item is known by, if there are more."""
    page: dict[str, Any] = {"items": items}
    if after is not None:
        page["cursor"] = base64.urlsafe_b64encode(after.encode()).decode().rstrip("=")
    return web.Response(body=orjson.dumps(page), content_type=JSON)


def _decoded(cursor: str) -> str:
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return ""
