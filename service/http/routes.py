"""The whole surface on one screen. The first is the one that counts: routes are tried in order."""

from typing import Final

from aiohttp import web

from service.errors import MethodRefused, RouteNotFound
from service.http import runs, system, workspaces
from service.http.edge import Handler, edge

_WORKSPACE: Final = "/v2/functions/{workspace}"
_FUNCTION: Final = "/v2/functions/{workspace}/functions/{function}"

ROUTES: Final = (
    web.post("/v2/functions/{workspace}/run/{function}", runs.run_function),
    web.post("/v2/functions/{workspace}/run", runs.run_inline),
    web.get("/v2/functions", workspaces.list_workspaces),
    web.post(_WORKSPACE, workspaces.replace),
    web.put(_WORKSPACE, workspaces.replace),
    web.patch(_WORKSPACE, workspaces.patch),
    web.get(_WORKSPACE, workspaces.read),
    web.delete(_WORKSPACE, workspaces.delete),
    web.put(_FUNCTION, workspaces.replace_function),
    web.get(_FUNCTION, workspaces.read_function),
    web.delete(_FUNCTION, workspaces.delete_function),
    web.get("/sys/healthcheck", system.healthcheck),
    web.get("/sys/ready", system.ready),
)


def all_routes() -> list[web.RouteDef]:
    """The surface and what lies beyond it: every other method of its paths, and every other path."""
    methods: dict[str, set[str]] = {}
    for route in ROUTES:
        methods.setdefault(route.path, set()).add(route.method)
    # A path's own routes must stand together for aiohttp to see one resource, its refusal last.
    within = [
        definition
        for path, allowed in methods.items()
        for definition in (
            *(web.RouteDef(r.method, r.path, edge(r.handler), r.kwargs) for r in ROUTES if r.path == path),
            web.route("*", path, edge(_refuse_method(allowed))),
        )
    ]
    return [*within, web.route("*", "/{path:.*}", edge(_nowhere))]


def _refuse_method(allowed: set[str]) -> Handler:
    offered = allowed | ({"HEAD"} if "GET" in allowed else set())

    async def refuse(request: web.Request) -> web.StreamResponse:
        raise MethodRefused(request.method, offered)

    return refuse


async def _nowhere(request: web.Request) -> web.StreamResponse:
    raise RouteNotFound(f"There is nothing at {request.path[:200]!r}.")
