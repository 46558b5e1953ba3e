"""Workspaces over HTTP: create, replace, patch, read, delete, list; and one function of one."""

import base64
import binascii
from typing import Any, Final

import orjson
from aiohttp import web

from service.domain.conditions import Conditions
from service.domain.values import shown
from service.domain.workspace import Workspace
from service.domain.yaml import dump_yaml
from service.errors import FunctionNotFound, InvalidRequest, Problem, WorkspaceBroken, WorkspaceNotFound
from service.http.bodies import YAML, read_value
from service.http.keys import Skep
from service.http.names import function_name, workspace_name
from service.http.problems import JSON
from service.storage.workspaces import Volume

LIST_LIMIT: Final = 50
LIST_LIMIT_MAX: Final = 500


async def replace(skep: Skep, request: web.Request) -> web.Response:
    """POST and PUT /v2/functions/{workspace}: create or replace; answers the same body."""
    name = workspace_name(request)
    document, body, yaml = await _value(skep, request)
    workspace = await skep.deploy.replace(name, document, _conditions(request))
    return web.Response(body=body, content_type=YAML if yaml else JSON, headers=_etag(workspace))


async def patch(skep: Skep, request: web.Request) -> web.Response:
    """PATCH /v2/functions/{workspace}: JSON merge patch; answers the whole definition."""
    name = workspace_name(request)
    document, _body, yaml = await _value(skep, request)
    workspace = await skep.deploy.patch(name, document, _conditions(request))
    return _represent(request, workspace.document, workspace, yaml=yaml)


async def read(skep: Skep, request: web.Request) -> web.Response:
    """GET /v2/functions/{workspace}."""
    workspace = await _stored(skep, request)
    return _unless_known(request, workspace) or _represent(request, workspace.document, workspace)


async def delete(skep: Skep, request: web.Request) -> web.Response:
    """DELETE /v2/functions/{workspace}."""
    await skep.deploy.delete(workspace_name(request), _conditions(request))
    return web.Response(status=204)


async def replace_function(skep: Skep, request: web.Request) -> web.Response:
    """PUT /v2/functions/{workspace}/functions/{function}; answers the same body."""
    name, function = workspace_name(request), function_name(request)
    document, body, yaml = await _value(skep, request)
    workspace = await skep.deploy.put_function(name, function, document, _conditions(request))
    return web.Response(body=body, content_type=YAML if yaml else JSON, headers=_etag(workspace))


async def read_function(skep: Skep, request: web.Request) -> web.Response:
    """GET /v2/functions/{workspace}/functions/{function}."""
    function = function_name(request)
    workspace = await _stored(skep, request)
    found = workspace.document["functions"].get(function)
    if found is None:
        raise FunctionNotFound(workspace.name, function)
    return _unless_known(request, workspace) or _represent(request, found, workspace)


async def delete_function(skep: Skep, request: web.Request) -> web.Response:
    """DELETE /v2/functions/{workspace}/functions/{function}."""
    name, function = workspace_name(request), function_name(request)
    workspace = await skep.deploy.delete_function(name, function, _conditions(request))
    return web.Response(status=204, headers=_etag(workspace))


async def list_workspaces(skep: Skep, request: web.Request) -> web.Response:
    """GET /v2/functions: by name, `limit` at a time; `cursor` of one page asks for the next."""
    volume = skep.volume
    limit, after = _page(request)
    names, more = await volume.names(after=after, limit=limit)
    items = [await _item(volume, name) for name in names]
    page: dict[str, Any] = {"items": [item for item in items if item is not None]}
    if more:
        page["cursor"] = base64.urlsafe_b64encode(names[-1].encode()).decode().rstrip("=")
    return web.Response(body=orjson.dumps(page), content_type=JSON)


async def _item(volume: Volume, name: str) -> dict[str, Any] | None:
    try:
        workspace = (await volume.read(name)).workspace
    except WorkspaceNotFound:
        return None  # deleted since the page was cut
    except WorkspaceBroken as broken:
        return {"workspace": name, "functions": [], "revision": None, "error": broken.reason}
    return {"workspace": name, "functions": list(workspace.timeouts_ms), "revision": workspace.revision}


async def _value(skep: Skep, request: web.Request) -> tuple[object, bytes, bool]:
    return await read_value(request, max_bytes=skep.settings.request_max_bytes)


async def _stored(skep: Skep, request: web.Request) -> Workspace:
    return (await skep.volume.read(workspace_name(request))).workspace


def _etag(workspace: Workspace) -> dict[str, str]:
    return {"ETag": f'"{workspace.revision}"'}


def _conditions(request: web.Request) -> Conditions:
    return Conditions(_tags(request, "If-Match"), _tags(request, "If-None-Match"))


def _tags(request: web.Request, header: str) -> frozenset[str] | None:
    """Entity tags as revisions. A weak tag counts as its strong one: the revision is a hash of the content."""
    given = request.headers.getall(header, None)
    if given is None:
        return None
    tags = (tag.strip().removeprefix("W/").strip('"') for line in given for tag in line.split(","))
    return frozenset(tag for tag in tags if tag)


def _unless_known(request: web.Request, workspace: Workspace) -> web.Response | None:
    """304 if the caller has this revision already."""
    known = _tags(request, "If-None-Match")
    if known is not None and ("*" in known or workspace.revision in known):
        return web.Response(status=304, headers=_etag(workspace))
    return None


def _represent(request: web.Request, document: object, workspace: Workspace, *, yaml: bool = False) -> web.Response:
    """A document as the caller accepts it: YAML if it says so (or sent it and says nothing), else JSON."""
    accept = request.headers.get("Accept", "")
    if "yaml" in accept or (yaml and "json" not in accept):
        return web.Response(body=dump_yaml(document), content_type=YAML, headers=_etag(workspace))
    return web.Response(body=orjson.dumps(document), content_type=JSON, headers=_etag(workspace))


def _page(request: web.Request) -> tuple[int, str | None]:
    problems: list[Problem] = []
    problems += [
        Problem(f"query.{shown(name)}", "unknown parameter; there is limit, cursor")
        for name in request.query.keys() - {"limit", "cursor"}
    ]
    limit, after = LIST_LIMIT, None
    if (given := request.query.get("limit")) is not None:
        if given.isascii() and given.isdigit() and 1 <= int(given[:9]) <= LIST_LIMIT_MAX:
            limit = int(given[:9])
        else:
            problems.append(Problem("query.limit", f"must be a number from 1 to {LIST_LIMIT_MAX}"))
    if (cursor := request.query.get("cursor")) is not None:
        try:
            after = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        except (binascii.Error, ValueError):
            problems.append(Problem("query.cursor", "is not a cursor that was given out here"))
    if problems:
        raise InvalidRequest(problems)
    return limit, after
