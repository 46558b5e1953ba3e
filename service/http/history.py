"""What has become of runs, over HTTP: a list of a workspace's, and each by its id."""

from typing import Any, Final

import orjson
from aiohttp import web

from service.domain.names import function_name_problem
from service.domain.record import FINISHED, STATUSES, Record, Status, Summary
from service.domain.times import rfc3339
from service.errors import InvalidRequest, Problem
from service.http.names import workspace_name
from service.http.paging import page_of, page_response
from service.http.skep import Skep

CURSOR_MAX_DIGITS: Final = 18


async def list_runs(skep: Skep, request: web.Request) -> web.Response:
    """GET /v2/functions/{workspace}/runs: runs that are over, newest first, `limit` at a time."""
    workspace = workspace_name(request)
    wanted = page_of(request, is_cursor=_is_cursor, filters=("function", "status"))
    function, status = _filters(wanted.filters)
    before = None if wanted.after is None else int(wanted.after)
    # One more than is asked for tells whether there is another page.
    found = await skep.history.page(workspace, function=function, status=status, before=before, limit=wanted.limit + 1)
    if not found and not await skep.history.has_any(workspace):
        await skep.volume.read(workspace)  # or there is no such workspace, and never was
    shown, more = found[: wanted.limit], len(found) > wanted.limit
    return page_response([_summary(summary) for _, summary in shown], after=str(shown[-1][0]) if more else None)


def _filters(given: dict[str, str]) -> tuple[str | None, Status | None]:
    problems: list[Problem] = []
    function, name = given.get("function"), given.get("status")
    if function is not None and (problem := function_name_problem(function)) is not None:
        problems.append(Problem("query.function", problem))
    status = next((status for status in STATUSES if status == name), None)
    if name is not None and status not in FINISHED:
        problems.append(Problem("query.status", f"must be one of {', '.join(FINISHED)}"))
    if problems:
        raise InvalidRequest(problems)
    return function, status


def _summary(run: Summary) -> dict[str, Any]:
    return {
        "id": run.id,
        "function": run.function or None,
        "status": run.status,
        "revision": run.revision,
        "key": run.key or None,
        "queued": rfc3339(run.queued_ms),
        "started": None if run.started_ms is None else rfc3339(run.started_ms),
        "finished": rfc3339(run.finished_ms),
        "duration": run.duration_ms,
    }


def whole(record: Record) -> dict[str, Any]:
    """All of one run."""
    body = _summary(record)
    if record.result_json is not None:
        body["result"] = orjson.Fragment(record.result_json)
    if record.error_json is not None:
        body["error"] = orjson.Fragment(record.error_json)
    body["logs"] = orjson.Fragment(record.logs_json)
    if record.is_truncated:
        body["truncated"] = True
    return body


def _is_cursor(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= CURSOR_MAX_DIGITS
