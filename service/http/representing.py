"""Definitions as they are answered: in the format that the caller accepts, with what tells one from another."""

import asyncio
from collections.abc import Mapping

import orjson
from aiohttp import web

from service.domain.yaml import dump_yaml
from service.http.bodies import YAML, YAML_AT_ONCE_BYTES
from service.http.negotiation import knows, wants_yaml
from service.http.problems import JSON
from service.http.skep import Skep


def etag_header(revision: str) -> dict[str, str]:
    """What `If-Match` and `If-None-Match` can name."""
    return {"ETag": f'"{revision}"'}


def unless_known(request: web.Request, revision: str) -> web.Response | None:
    """304 if the caller has this revision already."""
    return web.Response(status=304, headers=etag_header(revision)) if knows(request, revision) else None


async def represent(
    skep: Skep, request: web.Request, document: object, headers: Mapping[str, str], *, sent_yaml: bool = False
) -> web.Response:
    """A document in the format that the caller accepts; where it does not say, in the one it sent."""
    headers = {**headers, "Vary": "Accept"}
    body, kind = orjson.dumps(document), JSON
    if wants_yaml(request, default=sent_yaml):
        # As when it is read: a large one would hold up everybody.
        is_large, kind = len(body) > YAML_AT_ONCE_BYTES, YAML
        loop = asyncio.get_running_loop()
        body = await loop.run_in_executor(skep.parsers, dump_yaml, document) if is_large else dump_yaml(document)
    return web.Response(body=body, content_type=kind, headers=headers)
