"""A viewer of the OpenAPI documents: Swagger UI, from the package that carries its files, and a page around it.

All of it comes from here, and the page says so to the browser: what a tenant writes into a description can neither run
nor load anything, and the viewer works where there is no other network.
"""

import asyncio
import gzip
import hashlib
from functools import lru_cache
from importlib import resources
from typing import Final, NamedTuple

from aiohttp import web

from service.domain.names import is_workspace_name
from service.domain.values import shown
from service.errors import InvalidRequest, Problem, RouteNotFound
from service.http.negotiation import knows
from service.http.skep import Skep

_CARRIER: Final = "mkdocs_swagger_ui_tag"
FILES: Final = {
    "swagger-ui-bundle.js": (_CARRIER, "swagger-ui/javascripts/swagger-ui-bundle.js", "text/javascript"),
    "swagger-ui.css": (_CARRIER, "swagger-ui/stylesheets/swagger-ui.css", "text/css"),
    "page.js": ("service.http", "viewer/page.js", "text/javascript"),
    "page.css": ("service.http", "viewer/page.css", "text/css"),
}
"""All that is given out: name, package, place in it, media type."""
_PAGE: Final = ("service.http", "viewer/page.html", "text/html")
_HEADERS: Final = {
    "Content-Security-Policy": (
        # React sets styles through the object model, which is not what 'unsafe-inline' is about.
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept-Encoding",
}
PAGE_CACHING: Final = "no-cache"
FILE_CACHING: Final = "public, max-age=3600"


class _File(NamedTuple):
    content: bytes
    compressed: bytes
    media_type: str
    revision: str


async def page(_skep: Skep, request: web.Request) -> web.Response:
    """GET /docs: a page that shows the description of the service, or with `workspace` that of a workspace."""
    workspace = request.query.get("workspace", "w")
    if not is_workspace_name(workspace):
        raise InvalidRequest([Problem("query.workspace", f"{shown(workspace)!r} is no workspace name")])
    return await _answer(request, _PAGE, PAGE_CACHING)


async def file(_skep: Skep, request: web.Request) -> web.Response:
    """GET /docs/{file}: what the page is made of."""
    place = FILES.get(request.match_info["file"])
    if place is None:
        raise RouteNotFound(f"There is nothing at {shown(request.path)!r}.")
    return await _answer(request, place, FILE_CACHING)


async def _answer(request: web.Request, place: tuple[str, str, str], caching: str) -> web.Response:
    found = await asyncio.to_thread(_read, place)
    headers = {**_HEADERS, "ETag": f'"{found.revision}"', "Cache-Control": caching}
    if knows(request, found.revision):
        return web.Response(status=304, headers=headers)
    content = found.content
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        content, headers["Content-Encoding"] = found.compressed, "gzip"
    return web.Response(body=content, content_type=found.media_type, charset="utf-8", headers=headers)


@lru_cache(maxsize=len(FILES) + 1)
def _read(place: tuple[str, str, str]) -> _File:
    package, path, media_type = place
    content = resources.files(package).joinpath(path).read_bytes()
    return _File(content, gzip.compress(content), media_type, hashlib.sha256(content).hexdigest()[:32])
