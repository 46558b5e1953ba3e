"""Revisions to look at, to compare, and to run."""

import asyncio
from collections.abc import Hashable
from typing import Final, NamedTuple

import orjson
from cachetools import LRUCache

from service.database import revisions
from service.database.changes import Changes
from service.database.database import Database
from service.database.revisions import Revision
from service.domain.names import revision_key, workspace_of
from service.domain.text_diff import unified
from service.domain.workspace import Workspace
from service.domain.yaml import dump_yaml
from service.errors import InvalidRequest, RevisionNotFound, WorkspaceBroken, WorkspaceNotFound
from service.storage.reasons import summary_of
from service.storage.workspaces import Volume

PARSED_MAX_BYTES: Final = 64 * 2**20
BUNDLES_MAX_BYTES: Final = 64 * 2**20


class Parsed(NamedTuple):
    """A definition that can run, and the bytes it was read from."""

    workspace: Workspace
    size_bytes: int


class Revisions:
    """The revisions of every workspace. What was read of one is kept: they never change."""

    def __init__(self, database: Database, volume: Volume) -> None:
        self._database = database
        self._volume = volume
        self._parsed: LRUCache[str, Parsed] = LRUCache(PARSED_MAX_BYTES, getsizeof=lambda parsed: parsed.size_bytes)
        self._comparing = asyncio.Semaphore(1)
        self._bundles: LRUCache[tuple[str, Hashable], bytes] = LRUCache(BUNDLES_MAX_BYTES, getsizeof=len)

    def follow(self, changes: Changes) -> None:
        """Before the changes run."""
        changes.listen(revisions.LIVE, self._reload)
        changes.listen(revisions.FORGOTTEN, self._forget)

    async def page(self, workspace: str, *, before: int, limit: int) -> tuple[list[Revision], bool]:
        """The newest below a number, and whether more follow. Raises: WorkspaceNotFound, DatabaseUnavailable."""
        found, more = await revisions.page(self._database, workspace, before=before, limit=limit)
        if not found and self._volume.signature(workspace) is None:
            first, _ = await revisions.page(self._database, workspace, before=2**31, limit=1)
            if not first:
                raise WorkspaceNotFound(workspace)
        return found, more

    async def live_number(self, workspace: str) -> int | None:
        """Which of them is on the volume now; None if none is. Raises: DatabaseUnavailable, VolumeUnavailable."""
        live = await revisions.live_of(self._database, workspace)
        try:
            etag = (await self._volume.read(workspace)).workspace.revision
        except (WorkspaceNotFound, WorkspaceBroken):
            return None
        return live.number if live is not None and live.etag == etag else None

    async def read(self, workspace: str, number: int) -> tuple[Revision, str]:
        """One, with its definition as JSON. Raises: RevisionNotFound, DatabaseUnavailable."""
        found = await revisions.find(self._database, workspace, number)
        if found is None:
            raise RevisionNotFound(workspace, number)
        return found

    async def diff(self, workspace: str, before: int, after: int) -> str:
        """From one to another, as YAML, unified. Raises: RevisionNotFound, DatabaseUnavailable."""
        _, one = await self.read(workspace, before)
        _, other = await self.read(workspace, after)

        def compare() -> str:
            old, new = (dump_yaml(orjson.loads(text)).decode().splitlines() for text in (one, other))
            return unified(old, new, f"{workspace}@{before}", f"{workspace}@{after}")

        async with self._comparing:
            return await asyncio.to_thread(compare)

    async def load(self, workspace: str, number: int) -> Workspace:
        """One that can be deployed. Raises: RevisionNotFound, DatabaseUnavailable, InvalidRequest."""
        _, text = await self.read(workspace, number)
        return await asyncio.to_thread(lambda: Workspace.from_document(workspace, orjson.loads(text)))

    async def to_run(self, workspace: str, number: int) -> Workspace:
        """The same, for a run: from memory, the first time from the database. Raises: as `load`, but WorkspaceBroken
        where its definition is no longer one.
        """
        key = revision_key(workspace, number)
        parsed = self._parsed.get(key)
        if parsed is None:
            try:
                loaded = await self.load(workspace, number)
            except InvalidRequest as error:
                raise WorkspaceBroken(workspace, f"revision {number}: {summary_of(error.problems)}") from error
            parsed = Parsed(loaded, len(loaded.definition_json()))
            if parsed.size_bytes <= PARSED_MAX_BYTES:
                self._parsed[key] = parsed
        return parsed.workspace

    async def newest(self, workspace: str) -> int | None:
        """The number of the last one, also where the workspace was deleted. Raises: DatabaseUnavailable."""
        found, _ = await revisions.page(self._database, workspace, before=2**31, limit=1)
        return found[0].number if found else None

    def bundle(self, key: str, version: Hashable) -> bytes:
        """What was compiled from one, or nothing."""
        return self._bundles.get((key, version), b"")

    def keep_bundle(self, key: str, version: Hashable, bundle: bytes) -> None:
        """Keep what was compiled from one."""
        if len(bundle) <= BUNDLES_MAX_BYTES:
            self._bundles[key, version] = bundle

    async def _reload(self, workspace: str | None) -> None:
        """When everything may be another, as with a backup that was restored, so may be what a number means."""
        if workspace is None:
            self._parsed.clear()

    async def _forget(self, workspace: str | None) -> None:
        """Who takes the name of one that was deleted long ago begins with 1 again."""
        for key in [key for key in self._parsed if workspace_of(key) == workspace]:
            del self._parsed[key]
