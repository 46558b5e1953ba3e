"""The whole surface on one screen. The first is the one that counts: routes are tried in order."""

from functools import partial
from typing import Final, NamedTuple

from aiohttp import HttpVersion11, web

from service.errors import MethodRefused, RouteNotFound
from service.http import runs, system, workspaces
from service.http.edge import Handler, edge
from service.http.keys import Skep

_WORKSPACE: Final = "/v2/functions/{workspace}"
_FUNCTION: Final = "/v2/functions/{workspace}/functions/{function}"


class Route(NamedTuple):
    """One row of the surface."""

    method: str
    path: str
    handler: Handler


ROUTES: Final = (
    Route("POST", "/v2/functions/{workspace}/run/{function}", runs.run_function),
    Route("POST", "/v2/functions/{workspace}/run", runs.run_inline),
    Route("GET", "/v2/functions", workspaces.list_workspaces),
    Route("POST", _WORKSPACE, workspaces.replace),
    Route("PUT", _WORKSPACE, workspaces.replace),
    Route("PATCH", _WORKSPACE, workspaces.patch),
    Route("GET", _WORKSPACE, workspaces.read),
    Route("DELETE", _WORKSPACE, workspaces.delete),
    Route("PUT", _FUNCTION, workspaces.replace_function),
    Route("GET", _FUNCTION, workspaces.read_function),
    Route("DELETE", _FUNCTION, workspaces.delete_function),
    Route("GET", "/sys/healthcheck", system.healthcheck),
    Route("GET", "/sys/ready", system.ready),
    Route("GET", "/metrics", system.metrics),
)


def all_routes() -> list[web.RouteDef]:
    """The surface and what lies beyond it: every other method of its paths, and every other path."""
    methods: dict[str, set[str]] = {}
    for route in ROUTES:
        methods.setdefault(route.path, set()).add(route.method)
    definitions: list[web.RouteDef] = []
    for path, allowed in methods.items():
        # Routes of one path must stand together for aiohttp to see one resource, the refusal last.
        for route in ROUTES:
            if route.path == path:
                add = web.get if route.method == "GET" else partial(web.route, route.method)
                definitions.append(add(path, edge(route.handler), expect_handler=_expect))
        definitions.append(web.route("*", path, edge(_refuse_method(allowed)), expect_handler=_expect))
    return [*definitions, web.route("*", "/{path:(?s:.*)}", edge(_nowhere), expect_handler=_expect)]


def _refuse_method(allowed: set[str]) -> Handler:
    offered = allowed | ({"HEAD"} if "GET" in allowed else set())

    async def refuse(_skep: Skep, request: web.Request) -> web.StreamResponse:
        raise MethodRefused(request.method, offered)

    return refuse


async def _expect(request: web.Request) -> web.StreamResponse | None:
    """`100-continue` is granted, and what else a caller may expect is not known here (RFC 9110, section 10.1.1)."""
    if request.headers.get("Expect", "").lower() == "100-continue" and request.version == HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # That was not yet the answer.
        request.writer.output_size = 0
    return None


async def _nowhere(_skep: Skep, request: web.Request) -> web.StreamResponse:
    raise RouteNotFound(f"There is nothing at {request.path[:200]!r}.")
