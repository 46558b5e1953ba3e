"""The audit log over HTTP, for who may do everything."""

from typing import Any

from aiohttp import web

from service.database.audit import Line, Wanted, lines
from service.domain.times import parse_rfc3339, rfc3339
from service.errors import InvalidRequest, Problem
from service.http.keys_api import is_number
from service.http.paging import page_of, page_response
from service.http.skep import Skep

_FILTERS = ("workspace", "action", "key", "since", "until")


async def list_audit(skep: Skep, request: web.Request) -> web.Response:
    """GET /v2/audit: who did what, newest first; `since` is included, `until` is not."""
    page = page_of(request, is_cursor=is_number, filters=_FILTERS)
    given, problems = page.filters, list[Problem]()
    wanted = Wanted(
        workspace=given.get("workspace"),
        action=given.get("action"),
        key=given.get("key"),
        since_ms=_time(given, "since", problems),
        until_ms=_time(given, "until", problems),
        before=None if page.after is None else int(page.after),
    )
    if problems:
        raise InvalidRequest(problems)
    found, more = await lines(skep.database, wanted, limit=page.limit)
    return page_response([_shown(line) for line in found], after=str(found[-1].id) if more else None)


def _time(given: dict[str, str], name: str, problems: list[Problem]) -> int | None:
    if name not in given:
        return None
    try:
        return parse_rfc3339(given[name])
    except ValueError as error:
        problems.append(Problem(f"query.{name}", str(error)))
        return None


def _shown(line: Line) -> dict[str, Any]:
    return {
        "time": rfc3339(line.time_ms),
        "key": line.key,
        "address": line.address,
        "action": line.action,
        "workspace": line.workspace,
        "subject": line.subject,
        "details": line.details,
    }
