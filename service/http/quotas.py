"""Quotas over HTTP: what a workspace may have, what it has; and what the operator sets for it alone."""

from typing import Any

import orjson
from aiohttp import web

from service.domain.quotas import QUOTA_NAMES, OwnLimits, Size, check_override, narrowed, size_of
from service.domain.workspace import Workspace
from service.errors import WorkspaceBroken, WorkspaceNotFound
from service.http.access import actor_of
from service.http.bodies import read_value
from service.http.names import workspace_name
from service.http.problems import JSON
from service.http.skep import Skep


async def read_quotas(skep: Skep, request: web.Request) -> web.Response:
    """GET /v2/functions/{workspace}/quotas: what holds, what is set for this one alone, what is used."""
    return await _shown(skep, workspace_name(request))


async def set_quotas(skep: Skep, request: web.Request) -> web.Response:
    """PUT /v2/functions/{workspace}/quotas: the whole override. What is left out is as for every workspace."""
    name = workspace_name(request)
    document, _body, _yaml = await read_value(skep, request)
    await skep.quotas.set(name, check_override(document), actor_of(request))
    return await _shown(skep, name)


async def delete_quotas(skep: Skep, request: web.Request) -> web.Response:
    """DELETE /v2/functions/{workspace}/quotas: take the override away: as for every workspace."""
    await skep.quotas.delete(workspace_name(request), actor_of(request))
    return web.Response(status=204)


async def _shown(skep: Skep, name: str) -> web.Response:
    workspace = await _stored(skep, name)
    own = OwnLimits() if workspace is None else workspace.limits or OwnLimits()
    size = Size(0, 0) if workspace is None else size_of(workspace.document)
    quotas, override = skep.quotas.of(name), skep.quotas.override_of(name)
    state = skep.rates.state(name, own_per_minute=own.runs_per_minute)
    running, waiting = skep.pools.runs_of(name)
    body: dict[str, Any] = {
        "workspace": name,
        "quotas": {quota: getattr(quotas, quota) for quota in QUOTA_NAMES},
        "overridden": [quota for quota in QUOTA_NAMES if quota in override],
        "limits": {
            "runs_per_minute": narrowed(quotas.runs_per_minute, own.runs_per_minute),
            "runs_concurrent": narrowed(quotas.runs_concurrent, own.runs_concurrent),
        },
        "usage": {
            "runs_left": None if state is None else state.remaining,
            "runs_concurrent": running,
            "runs_waiting": waiting,
            "functions": size.functions,
            "code_bytes": size.code_bytes,
        },
    }
    return web.Response(body=orjson.dumps(body), content_type=JSON)


async def _stored(skep: Skep, name: str) -> Workspace | None:
    try:
        return (await skep.volume.read(name)).workspace
    except (WorkspaceNotFound, WorkspaceBroken):
        return None
