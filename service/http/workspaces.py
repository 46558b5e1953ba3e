"""Workspaces over HTTP: create, replace, patch, read, delete, list; and one function of one."""

from typing import Any

from aiohttp import web

from service.domain.names import is_workspace_name
from service.domain.workspace import Workspace, revision_of
from service.errors import FunctionNotFound, WorkspaceBroken, WorkspaceNotFound
from service.http.access import caller_of
from service.http.bodies import YAML, read_value
from service.http.changing import deployed_headers, is_dry_run, origin_of
from service.http.names import function_name, workspace_name
from service.http.negotiation import conditions
from service.http.paging import page_of, page_response
from service.http.problems import JSON
from service.http.representing import etag_header, represent, unless_known
from service.http.skep import Skep
from service.storage.workspaces import Volume
from service.usecases.deploy import Deployed


async def replace(skep: Skep, request: web.Request) -> web.Response:
    """POST and PUT /v2/functions/{workspace}: create or replace; answers the same body."""
    name, dry_run = workspace_name(request), is_dry_run(request)
    document, body, yaml = await _value(skep, request)
    deployed = await skep.deploy.replace(name, document, conditions(request), origin_of(request), dry_run=dry_run)
    headers = deployed_headers(deployed, deployed.workspace.revision)
    return web.Response(body=body, content_type=YAML if yaml else JSON, headers=headers)


async def patch(skep: Skep, request: web.Request) -> web.Response:
    """PATCH /v2/functions/{workspace}: JSON merge patch; answers the whole definition."""
    name, dry_run = workspace_name(request), is_dry_run(request)
    document, _body, yaml = await _value(skep, request)
    deployed = await skep.deploy.patch(name, document, conditions(request), origin_of(request), dry_run=dry_run)
    headers = deployed_headers(deployed, deployed.workspace.revision)
    return await represent(skep, request, deployed.workspace.document, headers, sent_yaml=yaml)


async def read(skep: Skep, request: web.Request) -> web.Response:
    """GET /v2/functions/{workspace}: the definition."""
    workspace = await _stored(skep, request)
    number = skep.releases.number_of(workspace.name, workspace.revision)
    headers = deployed_headers(Deployed(workspace, number), workspace.revision)
    return unless_known(request, workspace.revision) or await represent(skep, request, workspace.document, headers)


async def delete(skep: Skep, request: web.Request) -> web.Response:
    """DELETE /v2/functions/{workspace}: delete a workspace; its worker goes when its last run has ended."""
    name, dry_run = workspace_name(request), is_dry_run(request)
    await skep.deploy.delete(name, conditions(request), origin_of(request), dry_run=dry_run)
    return web.Response(status=204)


async def replace_function(skep: Skep, request: web.Request) -> web.Response:
    """PUT /v2/functions/{workspace}/functions/{function}: create or replace one function; answers the same body."""
    name, function, dry_run = workspace_name(request), function_name(request), is_dry_run(request)
    document, body, yaml = await _value(skep, request)
    deployed = await skep.deploy.put_function(
        name, function, document, conditions(request), origin_of(request), dry_run=dry_run
    )
    headers = deployed_headers(deployed, revision_of(document))
    return web.Response(body=body, content_type=YAML if yaml else JSON, headers=headers)


async def read_function(skep: Skep, request: web.Request) -> web.Response:
    """GET /v2/functions/{workspace}/functions/{function}: one function's definition."""
    function = function_name(request)
    workspace = await _stored(skep, request)
    found = workspace.document["functions"].get(function)
    if found is None:
        raise FunctionNotFound(workspace.name, function)
    revision = revision_of(found)
    return unless_known(request, revision) or await represent(skep, request, found, etag_header(revision))


async def delete_function(skep: Skep, request: web.Request) -> web.Response:
    """DELETE /v2/functions/{workspace}/functions/{function}: delete one function."""
    name, function, dry_run = workspace_name(request), function_name(request), is_dry_run(request)
    deployed = await skep.deploy.delete_function(
        name, function, conditions(request), origin_of(request), dry_run=dry_run
    )
    return web.Response(status=204, headers=deployed_headers(deployed, None))


async def list_workspaces(skep: Skep, request: web.Request) -> web.Response:
    """GET /v2/functions: workspaces by name, `limit` at a time; `cursor` of one page asks for the next."""
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


async def _value(skep: Skep, request: web.Request) -> tuple[object, bytes, bool]:
    return await read_value(skep, request)


async def _stored(skep: Skep, request: web.Request) -> Workspace:
    return (await skep.volume.read(workspace_name(request))).workspace
