"""Definitions as they are answered: in the format that the caller accepts, with what tells one from another."""

from collections.abc import Mapping

import orjson
from aiohttp import web

from service.domain.yaml import dump_yaml
from service.http.bodies import YAML
from service.http.negotiation import knows, wants_yaml
from service.http.problems import JSON


def etag_header(revision: str) -> dict[str, str]:
    """What `If-Match` and `If-None-Match` can name."""
    return {"ETag": f'"{revision}"'}


def unless_known(request: web.Request, revision: str) -> web.Response | None:
    """304 if the caller has this revision already."""
    return web.Response(status=304, headers=etag_header(revision)) if knows(request, revision) else None


def represent(
    request: web.Request, document: object, headers: Mapping[str, str], *, sent_yaml: bool = False
) -> web.Response:
    """A document in the format that the caller accepts; where it does not say, in the one it sent."""
    headers = {**headers, "Vary": "Accept"}
    if wants_yaml(request, default=sent_yaml):
        return web.Response(body=dump_yaml(document), content_type=YAML, headers=headers)
    return web.Response(body=orjson.dumps(document), content_type=JSON, headers=headers)
