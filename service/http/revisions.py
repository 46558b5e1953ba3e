"""Revisions over HTTP: what was deployed, what differs between two, and going back to one."""

from typing import Any, Final

import orjson
from aiohttp import web

from service.database.revisions import Revision
from service.domain.releases import revision_number
from service.domain.times import rfc3339
from service.domain.values import shown
from service.errors import InvalidRequest, Problem
from service.http.changing import REVISION, is_dry_run, origin_of, unknown_parameters
from service.http.names import workspace_name
from service.http.negotiation import conditions, prefers
from service.http.paging import page_of, page_response
from service.http.problems import JSON
from service.http.representing import etag_header, represent, unless_known
from service.http.skep import Skep

DIFF: Final = "text/x-diff"


async def list_revisions(skep: Skep, request: web.Request) -> web.Response:
    """GET /v2/functions/{workspace}/revisions: revisions, newest first, `limit` at a time."""
    name = workspace_name(request)
    page = page_of(request, is_cursor=lambda text: revision_number(text) is not None)
    before = 2**31 if page.after is None else int(page.after)
    found, more = await skep.revisions.page(name, before=before, limit=page.limit)
    live = await skep.revisions.live_number(name)
    items = [_item(revision, live) for revision in found]
    return page_response(items, after=str(found[-1].number) if more else None)


async def read_revision(skep: Skep, request: web.Request) -> web.Response:
    """GET /v2/functions/{workspace}/revisions/{revision}: the definition of a revision."""
    name, number = workspace_name(request), _number(request)
    _nothing_unknown(request, ())
    revision, definition = await skep.revisions.read(name, number)
    headers = {**etag_header(revision.etag), REVISION: str(number)}
    return unless_known(request, revision.etag) or await represent(skep, request, orjson.loads(definition), headers)


async def diff_revisions(skep: Skep, request: web.Request) -> web.Response:
    """GET /v2/functions/{workspace}/revisions/{revision}/diff: what differs from the one before, or `from` another."""
    name, number = workspace_name(request), _number(request)
    _nothing_unknown(request, ("from",))
    given = request.query.getall("from", [str(number - 1)])
    before = revision_number(given[0]) if len(given) == 1 else None
    if before is None:
        raise InvalidRequest([Problem("query.from", "must be the number of another revision; 1 has none before it")])
    diff = await skep.revisions.diff(name, before, number)
    headers = {"Vary": "Accept"}
    if prefers(request, DIFF, over=JSON):
        return web.Response(text=diff, content_type=DIFF, charset="utf-8", headers=headers)
    body = orjson.dumps({"from": before, "to": number, "diff": diff})
    return web.Response(body=body, content_type=JSON, headers=headers)


async def activate_revision(skep: Skep, request: web.Request) -> web.Response:
    """POST /v2/functions/{workspace}/revisions/{revision}/activate: make a revision live again; answered as listed."""
    name, number, dry_run = workspace_name(request), _number(request), is_dry_run(request)
    await skep.deploy.activate(name, number, conditions(request), origin_of(request), dry_run=dry_run)
    revision, _ = await skep.revisions.read(name, number)
    headers = etag_header(revision.etag) if dry_run else {**etag_header(revision.etag), REVISION: str(number)}
    live = await skep.revisions.live_number(name)
    return web.Response(body=orjson.dumps(_item(revision, live)), content_type=JSON, headers=headers)


def _item(revision: Revision, live: int | None) -> dict[str, Any]:
    return {
        "number": revision.number,
        "etag": revision.etag,
        "created": rfc3339(revision.created_ms),
        "key": revision.key,
        "message": revision.message,
        "live": revision.number == live,
        "functions": revision.functions,
        "functions_count": revision.functions_count,
    }


def _number(request: web.Request) -> int:
    given = request.match_info["revision"]
    number = revision_number(given)
    if number is None:
        raise InvalidRequest([Problem("revision", f"{shown(given)!r} is not the number of a revision")])
    return number


def _nothing_unknown(request: web.Request, offered: tuple[str, ...]) -> None:
    if problems := unknown_parameters(request, offered):
        raise InvalidRequest(problems)
