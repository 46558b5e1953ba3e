"""The whole surface on one screen. The first is the one that counts: routes are tried in order."""

from functools import partial
from typing import Final

from aiohttp import HttpVersion11, web

from service.domain.access import Need
from service.errors import MethodRefused, RouteNotFound
from service.http import (
    aliases,
    audit,
    docs,
    follow,
    history,
    keys_api,
    quotas,
    revisions,
    runs,
    secrets,
    system,
    unfinished,
    workspaces,
)
from service.http.access import allows, nobody_asked
from service.http.edge import Handler, edge
from service.http.openapi import serving
from service.http.route import Route
from service.http.skep import Skep

_WORKSPACE: Final = "/v2/functions/{workspace}"
_QUOTAS: Final = "/v2/functions/{workspace}/quotas"
_SECRETS: Final = "/v2/functions/{workspace}/secrets"
_FUNCTION: Final = "/v2/functions/{workspace}/functions/{function}"
_REVISION: Final = "/v2/functions/{workspace}/revisions/{revision}"
_ALIAS: Final = "/v2/functions/{workspace}/aliases/{alias}"


ROUTES: Final = (
    Route("POST", "/v2/functions/{workspace}/run/{function}", runs.run_function, Need.RUN),
    Route("POST", "/v2/functions/{workspace}/run", runs.run_inline, Need.DEPLOY),
    Route("GET", "/v2/functions", workspaces.list_workspaces, Need.READ, is_filtered=True),
    Route("POST", _WORKSPACE, workspaces.replace, Need.DEPLOY),
    Route("PUT", _WORKSPACE, workspaces.replace, Need.DEPLOY),
    Route("PATCH", _WORKSPACE, workspaces.patch, Need.DEPLOY),
    Route("GET", _WORKSPACE, workspaces.read, Need.READ),
    Route("DELETE", _WORKSPACE, workspaces.delete, Need.DEPLOY),
    Route("PUT", _FUNCTION, workspaces.replace_function, Need.DEPLOY),
    Route("GET", _FUNCTION, workspaces.read_function, Need.READ),
    Route("DELETE", _FUNCTION, workspaces.delete_function, Need.DEPLOY),
    Route("GET", "/v2/keys", keys_api.list_keys, Need.ADMIN),
    Route("POST", "/v2/keys", keys_api.create_key, Need.ADMIN),
    Route("GET", "/v2/keys/{id}", keys_api.read_key, Need.ADMIN),
    Route("DELETE", "/v2/keys/{id}", keys_api.revoke_key, Need.ADMIN),
    Route("GET", "/v2/audit", audit.list_audit, Need.ADMIN),
    Route("POST", f"{_FUNCTION}/disable", aliases.disable_function, Need.DEPLOY),
    Route("POST", f"{_FUNCTION}/enable", aliases.enable_function, Need.DEPLOY),
    Route("GET", f"{_WORKSPACE}/revisions", revisions.list_revisions, Need.READ),
    Route("GET", _REVISION, revisions.read_revision, Need.READ),
    Route("GET", f"{_REVISION}/diff", revisions.diff_revisions, Need.READ),
    Route("POST", f"{_REVISION}/activate", revisions.activate_revision, Need.DEPLOY),
    Route("GET", f"{_WORKSPACE}/aliases", aliases.list_aliases, Need.READ),
    Route("GET", _ALIAS, aliases.read_alias, Need.READ),
    Route("PUT", _ALIAS, aliases.set_alias, Need.DEPLOY),
    Route("DELETE", _ALIAS, aliases.delete_alias, Need.DEPLOY),
    Route("GET", _QUOTAS, quotas.read_quotas, Need.READ),
    Route("PUT", _QUOTAS, quotas.set_quotas, Need.ADMIN),
    Route("DELETE", _QUOTAS, quotas.delete_quotas, Need.ADMIN),
    Route("GET", _SECRETS, secrets.list_secrets, Need.READ),
    Route("PUT", f"{_SECRETS}/{{name}}", secrets.set_secret, Need.DEPLOY),
    Route("DELETE", f"{_SECRETS}/{{name}}", secrets.delete_secret, Need.DEPLOY),
    Route("GET", "/v2/functions/{workspace}/runs", history.list_runs, Need.READ),
    Route("GET", "/v2/functions/{workspace}/openapi.json", serving.workspace_document, Need.READ),
    Route("GET", "/openapi.json", serving.service_document, Need.PUBLIC),
    Route("GET", "/docs", docs.page, Need.PUBLIC),
    Route("GET", "/docs/{file}", docs.file, Need.PUBLIC),
    Route("GET", "/v2/functions/{workspace}/runs/{id}", unfinished.read_run, Need.FOLLOW),
    Route("DELETE", "/v2/functions/{workspace}/runs/{id}", unfinished.cancel_run, Need.RUN),
    Route("GET", "/v2/functions/{workspace}/runs/{id}/logs", follow.read_logs, Need.FOLLOW),
    Route("GET", "/v2/functions/{workspace}/webhook-secret", unfinished.webhook_secret, Need.DEPLOY),
    Route("GET", "/sys/healthcheck", system.healthcheck, Need.PUBLIC),
    Route("GET", "/sys/ready", system.ready, Need.PUBLIC),
    Route("GET", "/metrics", system.metrics, Need.READ),
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
                definitions.append(
                    add(
                        path,
                        edge(route.handler, allows(route.needs, is_filtered=route.is_filtered)),
                        expect_handler=_expect,
                    )
                )
        definitions.append(web.route("*", path, edge(_refuse_method(allowed), nobody_asked), expect_handler=_expect))
    return [*definitions, web.route("*", "/{path:(?s:.*)}", edge(_nowhere, nobody_asked), expect_handler=_expect)]


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
