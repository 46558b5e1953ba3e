"""Workspaces over HTTP: create, replace, patch, read, delete, list; and one function of one."""

from typing import Any

import orjson
from aiohttp import web

from service.domain.names import is_workspace_name
from service.domain.values import shown
from service.domain.workspace import Workspace, revision_of
from service.domain.yaml import dump_yaml
from service.errors import FunctionNotFound, InvalidRequest, Problem, WorkspaceBroken, WorkspaceNotFound
from service.http.access import caller_of
from service.http.bodies import YAML, read_value
from service.http.names import function_name, workspace_name
from service.http.negotiation import conditions, knows, wants_yaml
from service.http.paging import page_of, page_response
from service.http.problems import JSON
from service.http.skep import Skep
from service.storage.workspaces import Volume


async def replace(skep: Skep, request: web.Request) -> web.Response:
    """POST and PUT /v2/functions/{workspace}: create or replace; answers the same body."""
    name, dry_run = workspace_name(request), _is_dry_run(request)
    document, body, yaml = await _value(skep, request)
    workspace = await skep.deploy.replace(name, document, conditions(request), dry_run=dry_run)
    return web.Response(body=body, content_type=YAML if yaml else JSON, headers=_etag(workspace.revision))


async def patch(skep: Skep, request: web.Request) -> web.Response:
    """PATCH /v2/functions/{workspace}: JSON merge patch; answers the whole definition."""
    name, dry_run = workspace_name(request), _is_dry_run(request)
    document, _body, yaml = await _value(skep, request)
    workspace = await skep.deploy.patch(name, document, conditions(request), dry_run=dry_run)
    return _represent(request, workspace.document, workspace.revision, sent_yaml=yaml)


async def read(skep: Skep, request: web.Request) -> web.Response:
    """GET /v2/functions/{workspace}."""
    workspace = await _stored(skep, request)
    return _unless_known(request, workspace.revision) or _represent(request, workspace.document, workspace.revision)


async def delete(skep: Skep, request: web.Request) -> web.Response:
    """DELETE /v2/functions/{workspace}."""
    name, dry_run = workspace_name(request), _is_dry_run(request)
    await skep.deploy.delete(name, conditions(request), dry_run=dry_run)
    return web.Response(status=204)


async def replace_function(skep: Skep, request: web.Request) -> web.Response:
    """PUT /v2/functions/{workspace}/functions/{function}; answers the same body."""
    name, function, dry_run = workspace_name(request), function_name(request), _is_dry_run(request)
    document, body, yaml = await _value(skep, request)
    await skep.deploy.put_function(name, function, document, conditions(request), dry_run=dry_run)
    return web.Response(body=body, content_type=YAML if yaml else JSON, headers=_etag(revision_of(document)))


async def read_function(skep: Skep, request: web.Request) -> web.Response:
    """GET /v2/functions/{workspace}/functions/{function}."""
    function = function_name(request)
    workspace = await _stored(skep, request)
    found = workspace.document["functions"].get(function)
    if found is None:
        raise FunctionNotFound(workspace.name, function)
    revision = revision_of(found)
    return _unless_known(request, revision) or _represent(request, found, revision)


async def delete_function(skep: Skep, request: web.Request) -> web.Response:
    """DELETE /v2/functions/{workspace}/functions/{function}."""
    name, function, dry_run = workspace_name(request), function_name(request), _is_dry_run(request)
    await skep.deploy.delete_function(name, function, conditions(request), dry_run=dry_run)
    return web.Response(status=204)


async def list_workspaces(skep: Skep, request: web.Request) -> web.Response:
    """GET /v2/functions: by name, `limit` at a time; `cursor` of one page asks for the next."""
    volume = skep.volume
    page = page_of(request, is_cursor=is_workspace_name)
    names, more = await volume.names(after=page.after, limit=page.limit, only=caller_of(request).covers)
    items = [await _item(volume, name) for name in names]
    return page_response([item for item in items if item is not None], after=names[-1] if more else None)


async def _item(volume: Volume, name: str) -> dict[str, Any] | None:
    try:
        workspace = (await volume.read(name)).workspace
    except WorkspaceNotFound:
        return None  # deleted since the page was cut
    except WorkspaceBroken as broken:
        return {"workspace": name, "functions": [], "revision": None, "error": broken.reason}
    return {"workspace": name, "functions": list(workspace.timeouts_ms), "revision": workspace.revision}


def _is_dry_run(request: web.Request) -> bool:
    """Whether only to check. What is not understood is refused: a misspelt `dryRun` must not deploy."""
    problems = [
        Problem(f"query.{shown(name)}", "unknown parameter; there is dryRun")
        for name in request.query.keys() - {"dryRun"}
    ]
    given = request.query.getall("dryRun", ["false"])
    if len(given) > 1 or given[0] not in {"true", "false"}:
        problems.append(Problem("query.dryRun", "must be true or false"))
    if problems:
        raise InvalidRequest(problems)
    return given[0] == "true"


async def _value(skep: Skep, request: web.Request) -> tuple[object, bytes, bool]:
    return await read_value(request, max_bytes=skep.settings.request_max_bytes)


async def _stored(skep: Skep, request: web.Request) -> Workspace:
    return (await skep.volume.read(workspace_name(request))).workspace


def _etag(revision: str) -> dict[str, str]:
    return {"ETag": f'"{revision}"'}


def _unless_known(request: web.Request, revision: str) -> web.Response | None:
    """304 if the caller has this revision already."""
    return web.Response(status=304, headers=_etag(revision)) if knows(request, revision) else None


def _represent(request: web.Request, document: object, revision: str, *, sent_yaml: bool = False) -> web.Response:
    """A document in the format that the caller accepts; where it does not say, in the one it sent."""
    headers = {**_etag(revision), "Vary": "Accept"}
    if wants_yaml(request, default=sent_yaml):
        return web.Response(body=dump_yaml(document), content_type=YAML, headers=headers)
    return web.Response(body=orjson.dumps(document), content_type=JSON, headers=headers)
