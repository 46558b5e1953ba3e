"""The whole surface on one screen. The first is the one that counts: routes are tried in order."""

from typing import Final

from aiohttp import web

from service.http import runs, system, workspaces

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
