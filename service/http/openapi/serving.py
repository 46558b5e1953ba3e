"""OpenAPI documents over HTTP."""

from aiohttp import web

from service.http.names import workspace_name
from service.http.negotiation import knows
from service.http.openapi.documents import DOCUMENTS, Document
from service.http.problems import JSON
from service.http.skep import Skep


async def service_document(skep: Skep, request: web.Request) -> web.Response:
    """GET /openapi.json: this document, of the whole surface."""
    return _answer(
        request, request.app[DOCUMENTS].service(_mounted_at(request, "/openapi.json"), has_keys=_has_keys(skep))
    )


async def workspace_document(skep: Skep, request: web.Request) -> web.Response:
    """GET /v2/functions/{workspace}/openapi.json: a workspace's functions as operations.

    Each takes the parameters that its author gave it. Generators of clients take it as it is.
    """
    workspace = (await skep.volume.read(workspace_name(request))).workspace
    server = _mounted_at(request, f"/v2/functions/{workspace.name}/openapi.json")
    return _answer(request, await request.app[DOCUMENTS].workspace(workspace, server, has_keys=_has_keys(skep)))


def _answer(request: web.Request, document: Document) -> web.Response:
    headers = {"ETag": f'"{document.revision}"', "Cache-Control": "no-cache"}
    if knows(request, document.revision):
        return web.Response(status=304, headers=headers)
    return web.Response(body=document.body, content_type=JSON, headers=headers)


def _mounted_at(request: web.Request, path: str) -> str:
    """What stands before the path of a route where the application is a part of another."""
    return request.path.removesuffix(path) or "/"


def _has_keys(skep: Skep) -> bool:
    """Whether callers are asked for keys."""
    return not skep.gate.keyring.is_open
