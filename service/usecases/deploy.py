"""Change a workspace: whole, in part, or one function of it. Every change is a deploy, and each is all or nothing."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Mapping
from dataclasses import replace
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import structlog

from service.domain.conditions import Conditions
from service.domain.merge import merge_patch
from service.domain.source_lines import pointed
from service.domain.validation import check_function
from service.domain.workspace import Workspace, revision_of
from service.errors import (
    CodeError,
    CompilationFailed,
    FunctionNotFound,
    InvalidRequest,
    Problem,
    VolumeUnavailable,
    WorkspaceBroken,
    WorkspaceNotFound,
)
from service.storage.workspaces import Volume
from service.usecases.definitions import Definitions
from service.workers.contract import WorkerDied
from service.workers.pools import Pools

T = TypeVar("T")
Change = Callable[[Workspace | None], object]
"""From what there is to the document that shall be; it may raise what the caller is to hear."""

_log = structlog.get_logger()


class Deploy:
    """The changing verbs. Changes of one workspace happen one after the other, of different ones at once.

    With `dry_run` everything is checked, the code is compiled, and nothing is changed.
    """

    def __init__(self, volume: Volume, pools: Pools, definitions: Definitions) -> None:
        self._volume = volume
        self._pools = pools
        self._definitions = definitions
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._running: set[asyncio.Task[Any]] = set()

    async def replace(self, name: str, document: object, conditions: Conditions, *, dry_run: bool = False) -> Workspace:
        """Create or replace. Raises: InvalidRequest, CompilationFailed, PreconditionFailed, WorkersUnavailable."""
        return await self._change(name, conditions, lambda _current: document, mend=True, dry_run=dry_run)

    async def patch(self, name: str, patch: object, conditions: Conditions, *, dry_run: bool = False) -> Workspace:
        """Merge a patch into what there is. Raises: WorkspaceNotFound, and as `replace`."""

        def change(current: Workspace | None) -> object:
            if current is None:
                raise WorkspaceNotFound(name)
            if not isinstance(patch, Mapping):
                raise InvalidRequest([Problem("", "must be an object")])
            return merge_patch(current.document, patch)

        return await self._change(name, conditions, change, dry_run=dry_run)

    async def put_function(
        self, name: str, function: str, document: object, conditions: Conditions, *, dry_run: bool = False
    ) -> Workspace:
        """Create or replace one function of a workspace that exists. Raises: WorkspaceNotFound, and as `replace`."""
        checked = check_function(document)

        def change(current: Workspace | None) -> object:
            if current is None:
                raise WorkspaceNotFound(name)
            return {**current.document, "functions": {**current.document["functions"], function: checked}}

        return await self._change(name, conditions, change, function=function, dry_run=dry_run)

    async def delete_function(
        self, name: str, function: str, conditions: Conditions, *, dry_run: bool = False
    ) -> Workspace:
        """Remove one function. Raises: WorkspaceNotFound, FunctionNotFound, and as `replace`."""

        def change(current: Workspace | None) -> object:
            if current is None:
                raise WorkspaceNotFound(name)
            functions: dict[str, Any] = dict(current.document["functions"])
            if functions.pop(function, None) is None:
                raise FunctionNotFound(name, function)
            return {**current.document, "functions": functions}

        return await self._change(name, conditions, change, function=function, dry_run=dry_run)

    async def delete(self, name: str, conditions: Conditions, *, dry_run: bool = False) -> None:
        """Remove a workspace; its worker goes when its last run has ended. Raises: WorkspaceNotFound."""

        async def work() -> None:
            if dry_run or conditions != Conditions():
                current = await self._current(name)
                conditions.check(_revision(current, None))
                if current is None:
                    raise WorkspaceNotFound(name)
            if dry_run:
                return
            try:
                deleted = await self._volume.delete(name)
            except OSError as error:
                raise VolumeUnavailable(f"The workspace cannot be deleted: {error.strerror}.") from error
            if not deleted:
                raise WorkspaceNotFound(name)
            self._pools.discard(name)

        await self._in_turn(name, work)

    async def _change(  # noqa: PLR0913  # what, under which conditions, and three ways to go about it
        self, name: str, conditions: Conditions, change: Change, *,
        function: str | None = None, mend: bool = False, dry_run: bool,
    ) -> Workspace:  # fmt: skip
        """`function`: conditions are about this one. `mend`: files that cannot be read do not matter, since they are
        about to be replaced.
        """

        async def work() -> Workspace:
            try:
                current = await self._current(name)
            except WorkspaceBroken:
                if not mend or conditions != Conditions():
                    raise
                current = None
            conditions.check(_revision(current, function))
            workspace = Workspace.from_document(name, change(current))
            await self._deploy(workspace, dry_run=dry_run)
            return workspace

        return await self._in_turn(name, work)

    async def _current(self, name: str) -> Workspace | None:
        try:
            return (await self._volume.read(name)).workspace
        except WorkspaceNotFound:
            return None

    async def _deploy(self, workspace: Workspace, *, dry_run: bool) -> None:
        async def commit(bundle: bytes) -> Hashable:
            try:
                signature = await self._volume.write(workspace)
            except OSError as error:
                raise VolumeUnavailable(f"The definition cannot be stored: {error.strerror}.") from error
            await self._definitions.keep(workspace.name, replace(package, bundle=bundle))
            return signature

        if problems := self._definitions.bounds.problems(workspace.pool):
            raise InvalidRequest(problems)
        package = self._definitions.package(workspace)
        try:
            if dry_run:
                await self._pools.compile(workspace.name, package)
                return
            await self._pools.deploy(workspace.name, package, commit)
        except CompilationFailed as failed:
            raise CompilationFailed(pointed(failed.errors, workspace.sources())) from None
        except WorkerDied as died:
            raise CompilationFailed([CodeError("", 0, 0, f"The code could not be compiled: {died}.")]) from died
        _log.info("deployed", workspace=workspace.name, revision=workspace.revision)

    async def _in_turn(self, name: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """A caller that leaves does not stop a change half-way: it is done, or, if it has not begun, it is not."""
        has_begun = False

        async def turn() -> T:
            nonlocal has_begun
            async with self._lock(name):
                has_begun = True
                return await work()

        task = asyncio.ensure_future(turn())
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not has_begun:
                task.cancel()
            raise

    def _lock(self, name: str) -> asyncio.Lock:
        return self._locks.setdefault(name, asyncio.Lock())


def _revision(workspace: Workspace | None, function: str | None) -> str | None:
    if workspace is None or function is None:
        return workspace.revision if workspace else None
    found = workspace.document["functions"].get(function)
    return None if found is None else revision_of(found)
