"""Change a workspace: whole, in part, or one function of it. Every change is a deploy, and each is all or nothing."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar
from weakref import WeakValueDictionary

import structlog

from service.database.quotas import QuotaTable
from service.domain.conditions import Conditions
from service.domain.merge import merge_patch
from service.domain.quotas import size_of
from service.domain.source_lines import pointed
from service.domain.validation import check_function
from service.domain.workspace import Workspace, revision_of
from service.errors import (
    CodeError,
    CompilationFailed,
    FunctionNotFound,
    InvalidRequest,
    Problem,
    WorkspaceBroken,
    WorkspaceNotFound,
)
from service.storage.workspaces import Volume
from service.usecases.creations import Creations
from service.usecases.definitions import Definitions, with_secrets
from service.usecases.ledger import Ledger, Origin
from service.usecases.revisions import Revisions
from service.workers.contract import WorkerDied
from service.workers.pools import Pools

T = TypeVar("T")
Change = Callable[[Workspace | None], object]
"""From what there is to the document that shall be; it may raise what the caller is to hear."""

_log = structlog.get_logger()


class Deployed(NamedTuple):
    """What is live now, and as which revision; None if it was only checked."""

    workspace: Workspace
    number: int | None


class Deploy:
    """The changing verbs. Changes of one workspace happen one after the other, of different ones at once.

    With `dry_run` everything is checked, the code is compiled, and nothing is changed.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # what a change is checked against, and where it goes
        self, volume: Volume, pools: Pools, definitions: Definitions, ledger: Ledger, revisions: Revisions,
        quotas: QuotaTable, creations: Creations,
    ) -> None:  # fmt: skip
        self._volume = volume
        self._ledger = ledger
        self._revisions = revisions
        self._quotas = quotas
        self._creations = creations
        self._pools = pools
        self._definitions = definitions
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._running: set[asyncio.Task[Any]] = set()

    async def replace(
        self, name: str, document: object, conditions: Conditions, origin: Origin, *, dry_run: bool = False
    ) -> Deployed:
        """Create or replace. Raises: InvalidRequest, CompilationFailed, PreconditionFailed, WorkersUnavailable,
        VolumeUnavailable, DatabaseUnavailable.
        """
        return await self._change(name, conditions, lambda _current: document, origin, mend=True, dry_run=dry_run)

    async def activate(
        self, name: str, number: int, conditions: Conditions, origin: Origin, *, dry_run: bool = False
    ) -> Deployed:
        """Make a revision live again, also of a workspace that was deleted. Raises: RevisionNotFound, and as
        `replace`.
        """
        revision = await self._revisions.load(name, number)
        return await self._change(
            name, conditions, lambda _current: revision.document, origin, mend=True, number=number, dry_run=dry_run
        )

    async def patch(
        self, name: str, patch: object, conditions: Conditions, origin: Origin, *, dry_run: bool = False
    ) -> Deployed:
        """Merge a patch into what there is. Raises: WorkspaceNotFound, and as `replace`."""

        def change(current: Workspace | None) -> object:
            if current is None:
                raise WorkspaceNotFound(name)
            if not isinstance(patch, Mapping):
                raise InvalidRequest([Problem("", "must be an object")])
            return merge_patch(current.document, patch)

        return await self._change(name, conditions, change, origin, dry_run=dry_run)

    async def put_function(  # noqa: PLR0913  # which, what, by whom, under which conditions
        self, name: str, function: str, document: object, conditions: Conditions, origin: Origin, *,
        dry_run: bool = False,
    ) -> Deployed:  # fmt: skip
        """Create or replace one function of a workspace that exists. Raises: WorkspaceNotFound, and as `replace`."""
        checked = check_function(document)

        def change(current: Workspace | None) -> object:
            if current is None:
                raise WorkspaceNotFound(name)
            return {**current.document, "functions": {**current.document["functions"], function: checked}}

        return await self._change(name, conditions, change, origin, function=function, dry_run=dry_run)

    async def delete_function(
        self, name: str, function: str, conditions: Conditions, origin: Origin, *, dry_run: bool = False
    ) -> Deployed:
        """Remove one function. Raises: WorkspaceNotFound, FunctionNotFound, and as `replace`."""

        def change(current: Workspace | None) -> object:
            if current is None:
                raise WorkspaceNotFound(name)
            functions: dict[str, Any] = dict(current.document["functions"])
            if functions.pop(function, None) is None:
                raise FunctionNotFound(name, function)
            return {**current.document, "functions": functions}

        return await self._change(name, conditions, change, origin, function=function, dry_run=dry_run)

    async def delete(self, name: str, conditions: Conditions, origin: Origin, *, dry_run: bool = False) -> None:
        """Remove a workspace; its worker goes when its last run has ended. Raises: WorkspaceNotFound."""

        async def work() -> None:
            current = await (self._current(name) if dry_run else self._to_replace(name, conditions))
            conditions.check(_revision(current, None))
            if dry_run:
                if current is None:
                    raise WorkspaceNotFound(name)
                return
            if not await self._ledger.delete(name, current, origin):
                raise WorkspaceNotFound(name)
            self._creations.deleted(name)
            self._pools.discard(name)

        await self._in_turn(name, work, is_exclusive=not dry_run)

    async def _change(  # noqa: PLR0913  # what, by whom, under which conditions, and four ways to go about it
        self, name: str, conditions: Conditions, change: Change, origin: Origin, *,
        function: str | None = None, mend: bool = False, number: int | None = None, dry_run: bool,
    ) -> Deployed:  # fmt: skip
        """`function`: conditions are about this one. `mend`: files that cannot be read do not matter, since they are
        about to be replaced. `number`: of the revision that this is.
        """

        async def work() -> Deployed:
            current = await (self._to_replace(name, conditions) if mend else self._current(name))
            conditions.check(_revision(current, function))
            workspace = Workspace.from_document(name, change(current))
            self._check_bounds(workspace, current)
            async with nullcontext() if current is not None else self._creations.room_for(name, dry_run=dry_run):
                return await self._deploy(workspace, current, origin, number=number, dry_run=dry_run)

        return await self._in_turn(name, work, is_exclusive=not dry_run)

    async def _to_replace(self, name: str, conditions: Conditions) -> Workspace | None:
        try:
            return await self._current(name)
        except WorkspaceBroken:
            if conditions != Conditions():
                raise
            return None

    async def _current(self, name: str) -> Workspace | None:
        try:
            return (await self._volume.read(name)).workspace
        except WorkspaceNotFound:
            return None

    def _check_bounds(self, workspace: Workspace, current: Workspace | None) -> None:
        """What the operator allows. Raises: InvalidRequest with everything that is beyond it."""
        before = None if current is None else size_of(current.document)
        quotas = self._quotas.of(workspace.name)
        problems = self._definitions.bounds.problems(workspace.pool)
        problems += quotas.problems(size_of(workspace.document), before)
        if problems:
            raise InvalidRequest(problems)

    async def _deploy(
        self, workspace: Workspace, current: Workspace | None, origin: Origin, *, number: int | None, dry_run: bool
    ) -> Deployed:
        async def commit(bundle: bytes) -> Hashable:
            nonlocal number
            entry = await self._ledger.record(workspace, current, origin, number=number)
            number = entry.number
            await self._definitions.keep(workspace.name, replace(package, bundle=bundle))
            return with_secrets(package, entry.signature)

        package = self._definitions.package(workspace)
        try:
            if dry_run:
                await self._pools.compile(workspace.name, package)
                return Deployed(workspace, None)
            await self._pools.deploy(workspace.name, package, commit)
        except CompilationFailed as failed:
            raise CompilationFailed(pointed(failed.errors, workspace.sources())) from None
        except WorkerDied as died:
            raise CompilationFailed([CodeError("", 0, 0, f"The code could not be compiled: {died}.")]) from died
        _log.info("deployed", workspace=workspace.name, revision=workspace.revision, number=number)
        return Deployed(workspace, number)

    async def _in_turn(self, name: str, work: Callable[[], Coroutine[Any, Any, T]], *, is_exclusive: bool) -> T:
        """A caller that leaves does not stop a change half-way: it is done, or, if it has not begun, it is not."""
        has_begun = False

        async def turn() -> T:
            nonlocal has_begun
            async with self._lock(name), self._volume.locked(name) if is_exclusive else nullcontext():
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
