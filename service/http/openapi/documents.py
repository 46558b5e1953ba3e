"""The documents that are given out, each made once."""

import asyncio
import hashlib
from functools import lru_cache, partial
from typing import Any, Final, NamedTuple

import orjson
from aiohttp import web
from cachetools import LRUCache

from service.domain.workspace import Workspace
from service.http.openapi.document import Surface, service_document
from service.http.openapi.workspace import workspace_document

KEPT_MAX_BYTES: Final = 8 * 1024 * 1024
"""Of documents of workspaces; what is larger than all of it is made anew each time."""
AT_ONCE_VALUES: Final = 20
"""More functions than these are described in a thread."""


class Document(NamedTuple):
    """JSON, and what its ETag says."""

    body: bytes
    revision: str


class Documents:
    """The document of the service and those of its workspaces."""

    def __init__(self, surface: Surface) -> None:
        self._surface = surface
        self._kept: LRUCache[tuple[str, str, str, bool], Document] = LRUCache(
            KEPT_MAX_BYTES, getsizeof=lambda document: len(document.body)
        )
        self.service = lru_cache(maxsize=4)(self._service)

    def _service(self, server: str, *, has_keys: bool) -> Document:
        """The document of the whole surface, for callers that reach it at `server`."""
        return _written(service_document(self._surface, server=server, has_keys=has_keys))

    async def workspace(self, workspace: Workspace, server: str, *, has_keys: bool) -> Document:
        """The document of a workspace as it is now."""
        key = (workspace.name, workspace.revision, server, has_keys)
        found = self._kept.get(key)
        if found is not None:
            return found
        make = partial(self._workspace, workspace, server, has_keys=has_keys)
        document = make() if len(workspace.timeouts_ms) <= AT_ONCE_VALUES else await asyncio.to_thread(make)
        if len(document.body) <= KEPT_MAX_BYTES:
            self._kept[key] = document
        return document

    def _workspace(self, workspace: Workspace, server: str, *, has_keys: bool) -> Document:
        return _written(workspace_document(workspace, self._surface, server=server, has_keys=has_keys))


def _written(document: dict[str, Any]) -> Document:
    body = orjson.dumps(document)
    return Document(body, hashlib.sha256(body).hexdigest()[:32])


DOCUMENTS: Final = web.AppKey("documents", Documents)
