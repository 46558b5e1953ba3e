"""Run a function, or a body once, in the workspace's worker."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping
from typing import Final

import msgspec

from service.domain.outcome import Outcome, Rejected
from service.domain.source_lines import pointed
from service.domain.workspace import Workspace
from service.errors import CompilationFailed, FunctionNotFound, InvalidRequest, WorkspaceBroken, WorkspaceNotFound
from service.storage.workspaces import Volume
from service.usecases.deploy import keep_bundle
from service.workers.flights import Call
from service.workers.pool import Package, Pool
from service.workers.queue import NoPlace
from service.workers.worker import WorkerDied

RETRY_AFTER_S: Final = 1
_NO_FUNCTIONS: Final = Package(b'{"functions":{}}', b"")
_ABSENT: Final = "absent"
"""The version of a workspace that is nowhere on the volume: inline runs need none to exist."""


class Completed(msgspec.Struct, frozen=True):
    """How a run ended, and what it took around the worker's own time."""

    outcome: Outcome
    queue_ms: float
    cold_ms: float | None
    """The start of a worker, if one had to be started for it."""


class Run:
    """The running verbs."""

    def __init__(self, volume: Volume, pool: Pool, *, timeout_max_ms: int) -> None:
        self._volume = volume
        self._pool = pool
        self._timeout_max_ms = timeout_max_ms

    async def function(self, workspace: str, function: str, *, run_id: str, parameters_json: bytes) -> Completed:
        """Run a stored function. Raises: WorkspaceNotFound, FunctionNotFound, WorkspaceBroken, WorkersUnavailable."""
        stored = await self._volume.read(workspace)
        try:
            timeout_ms = stored.workspace.timeouts_ms[function]
        except KeyError:
            raise FunctionNotFound(workspace, function) from None
        timeout_ms = self._timeout_max_ms if timeout_ms is None else min(timeout_ms, self._timeout_max_ms)
        call = Call(run_id, parameters_json, timeout_ms, function)
        warm = self._pool.find(workspace, stored.signature)
        if warm is not None and warm.responsive.is_set():
            return Completed(await warm.run(call), 0.0, None)

        async def package() -> Package:
            return await self._package(stored.workspace)

        return await self._run(workspace, stored.signature, call, package, stored.workspace.sources)

    async def inline(self, workspace: str, code: str, *, run_id: str, parameters_json: bytes) -> Completed:
        """Run a body once, with the workspace's functions and cache in scope if it exists. Raises: as `function`."""
        call = Call(run_id, parameters_json, self._timeout_max_ms, code=code)
        try:
            stored = await self._volume.read(workspace)
        except WorkspaceNotFound:

            async def nothing() -> Package:
                return _NO_FUNCTIONS

            return await self._run(workspace, _ABSENT, call, nothing, dict)

        async def package() -> Package:
            return await self._package(stored.workspace)

        return await self._run(workspace, stored.signature, call, package, stored.workspace.sources)

    async def _package(self, workspace: Workspace) -> Package:
        bundle = await self._volume.read_bundle(workspace.name)
        return Package(workspace.definition_json(), bundle, workspace.network)

    async def _run(
        self, workspace: str, version: Hashable, call: Call, package: Callable[[], Awaitable[Package]],
        sources: Callable[[], Mapping[str, str]],
    ) -> Completed:  # fmt: skip
        async def keep(bundle: bytes) -> None:
            if version != _ABSENT:
                await keep_bundle(self._volume, workspace, bundle)

        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            async with self._pool.acquired(workspace, version, package, keep) as (worker, cold):
                waited_ms = (loop.time() - started) * 1000
                outcome = await worker.run(call)
                return Completed(outcome, 0.0 if cold else waited_ms, waited_ms if cold else None)
        except NoPlace:
            return Completed(Rejected("waited too long", RETRY_AFTER_S), 0.0, None)
        except CompilationFailed as failed:
            first = failed.errors[0]
            reason = f"{first.function}, line {first.line}: {first.message}"
            raise WorkspaceBroken(workspace, reason, pointed(failed.errors, sources())) from failed
        except (InvalidRequest, WorkerDied) as error:
            raise WorkspaceBroken(workspace, str(error)) from error
