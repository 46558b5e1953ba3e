"""Run a function, or a body once, in the workspace's pool."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from copy import copy
from functools import partial
from typing import Any, Final, TypeVar

import msgspec

from service.database.secrets import Secrets
from service.domain.outcome import CodeRefused, Completed, ParametersRefused, Rejected, Returned
from service.domain.quotas import OwnLimits
from service.domain.workspace import Workspace
from service.errors import (
    CompilationFailed,
    FunctionNotFound,
    InvalidRequest,
    SkepError,
    VolumeUnavailable,
    WorkersCrash,
    WorkspaceBroken,
    WorkspaceNotFound,
)
from service.metrics.metrics import Metrics
from service.metrics.outcomes import count
from service.storage.workspaces import Stored, Volume
from service.usecases.definitions import ABSENT, Definitions
from service.usecases.history import History
from service.usecases.meter import Meter
from service.usecases.releases import Releases
from service.usecases.revisions import Revisions
from service.workers.common import NotStarted
from service.workers.contract import WorkerDied
from service.workers.flight import Call
from service.workers.pool import Pool
from service.workers.pools import Pools

T = TypeVar("T")

NEVER_BEGAN: Final = (ParametersRefused, CodeRefused, Rejected)
"""Outcomes of what the history does not have."""
LARGE_BYTES: Final = 16 * 1024
"""What is smaller is not counted as held: as many as may run at once are nothing to speak of."""


class Run:
    """The running verbs."""

    def __init__(  # noqa: PLR0913, PLR0917  # where functions come from, what decides which, where they run
        self,
        volume: Volume,
        pools: Pools,
        metrics: Metrics,
        releases: Releases,
        revisions: Revisions,
        meter: Meter,
        secrets: Secrets,
        history: History,
        *,
        timeout_max_ms: int,
    ) -> None:
        self._volume = volume
        self._releases = releases
        self._revisions = revisions
        self._meter = meter
        self._secrets = secrets
        self._record: Callable[..., None] = history.record
        self._pools = pools
        self._metrics = metrics
        self._timeout_max_ms = timeout_max_ms

    def unrecorded(self) -> "Run":
        """The same, for runs whose ends somebody else writes down."""
        other = copy(self)
        other._record = _nowhere  # noqa: SLF001  # its own kind
        return other

    async def function(  # noqa: PLR0913  # which, with what, and whether it was counted
        self, workspace: str, function: str, *, run_id: str, parameters_json: bytes, key: str = "",
        revision: str | None = None, is_counted: bool = False,
    ) -> Completed:  # fmt: skip
        """Run a stored function; `revision`: by number or alias, not what is live; `is_counted`: it was when it was
        accepted. Raises: WorkspaceNotFound, FunctionNotFound, FunctionDisabled, RevisionNotFound, AliasNotFound,
        QuotaSpent, WorkspaceBroken, VolumeUnavailable, DatabaseUnavailable, WorkersUnavailable, WorkersCrash, Draining.
        """
        try:
            stored = await self._volume.read(workspace)
        except SkepError as error:
            self._was_not_read(workspace, error)
            raise
        if not is_counted and self._meter.is_for(stored.workspace.limits):
            run = partial(
                self.function, workspace, function,
                run_id=run_id, parameters_json=parameters_json, key=key, revision=revision, is_counted=True,
            )  # fmt: skip
            return await self._meter.metered(workspace, stored.workspace.limits, run)
        if revision is not None or workspace in self._releases.unusual:
            number = self._releases.choose(workspace, function, revision)
            if number is not None:
                call = Call(run_id, parameters_json, 0, function, None, key)
                return await self._run_revision(stored, call, number)
        timeout_ms = self._timeout_ms(stored.workspace, function)
        number = self._releases.number_of(workspace, stored.workspace.revision)
        call = Call(run_id, parameters_json, timeout_ms, function, None, key, number)
        completed = await self._run(self._pools.of(workspace), call, stored.signature)
        return completed if self._record is not _nowhere else msgspec.structs.replace(completed, revision=number)

    async def inline(  # noqa: PLR0913  # as above
        self, workspace: str, code: str, *, run_id: str, parameters_json: bytes, key: str = "", is_counted: bool = False
    ) -> Completed:
        """Run a body once, with the workspace's functions and cache in scope if it exists. Raises: as `function`."""
        if not is_counted and self._meter.is_for(limits := await self._limits(workspace)):
            run = partial(self.inline, workspace, code, run_id=run_id, parameters_json=parameters_json, key=key)
            return await self._meter.metered(workspace, limits, partial(run, is_counted=True))
        call = Call(run_id, parameters_json, self._timeout_max_ms, code=code, key=key)
        try:
            stored = await self._volume.read(workspace)
        except WorkspaceNotFound as error:
            self._was_not_read(workspace, error)
            return await self._run(self._pools.of(workspace), call, ABSENT)
        except SkepError as error:
            self._was_not_read(workspace, error)
            raise
        return await self._run(self._pools.of(workspace), call, stored.signature)

    async def _run_revision(self, stored: Stored, call: Call, number: int) -> Completed:
        name = stored.workspace.name
        workspace = await self._revisions.to_run(name, number)
        timeout_ms = self._timeout_ms(workspace, call.function, revision=number)
        call = msgspec.structs.replace(call, timeout_ms=timeout_ms, revision=number)
        # What is live has workers already, and a cache.
        is_live = workspace.revision == stored.workspace.revision
        pool = self._pools.of(name) if is_live else self._pools.of_revision(name, number)
        version = stored.signature if is_live else Definitions.version_of(workspace)
        completed = await self._run(pool, call, version)
        return msgspec.structs.replace(completed, revision=number)

    def _timeout_ms(self, workspace: Workspace, function: str, *, revision: int | None = None) -> int:
        try:
            timeout_ms = workspace.timeouts_ms[function]
        except KeyError:
            raise FunctionNotFound(workspace.name, function, revision) from None
        return self._timeout_max_ms if timeout_ms is None else min(timeout_ms, self._timeout_max_ms)

    async def accept(self, workspace: str, begin: Callable[[], Awaitable[T]]) -> T:
        """Count a run that is to begin later, unless what accepts it raises. Raises: QuotaSpent, and what that does."""
        limits = await self._limits(workspace)
        return await self._meter.metered(workspace, limits, begin) if self._meter.is_for(limits) else await begin()

    async def _limits(self, workspace: str) -> OwnLimits | None:
        try:
            return (await self._volume.read(workspace)).workspace.limits
        except SkepError:
            return None  # whoever needs the workspace says so

    async def _run(self, pool: Pool, call: Call, version: Hashable) -> Completed:
        workspace = pool.workspace
        tally = self._metrics.tally(workspace)
        is_large = _is_large(call)
        if version is not ABSENT:
            version = self._secrets.version(workspace, version)
        # What nearly every run does is done here and not called: a coroutine more is a microsecond.
        flight = None if is_large else pool.begin(call, version)
        try:
            if flight is not None:
                completed = Completed(await flight.outcome, 0.0, None)
            else:
                completed = await (_run_large if is_large else Pool.run)(pool, call, version)
        except asyncio.CancelledError:
            duration_ms = None
            if flight is not None:
                flight.cancel()
                duration_ms = flight.elapsed_ms()
            tally.ended("cancelled", duration_ms=None, queued_s=None)
            self._record(call.run_id, workspace, call.function, None, 0.0, call.revision, call.key, duration_ms)
            raise
        except WorkersCrash:
            tally.ended("unavailable", duration_ms=None, queued_s=None)
            raise
        except NotStarted as failed:
            tally.ended("unavailable", duration_ms=None, queued_s=None)
            match failed.cause:
                case CompilationFailed(errors=errors) as cause:
                    first = errors[0]
                    reason = f"{first.function}, line {first.line}: {first.message}"
                    # Without the lines themselves: who may run it need not be shown its code.
                    raise WorkspaceBroken(workspace, reason, errors) from cause
                case InvalidRequest() | WorkerDied() as cause:
                    raise WorkspaceBroken(workspace, str(cause)) from cause
                case cause:
                    raise cause from None
        count(tally, completed)
        outcome = completed.outcome
        if type(outcome) is Returned or not isinstance(outcome, NEVER_BEGAN):
            waited_ms = completed.queue_ms if completed.cold_ms is None else completed.queue_ms + completed.cold_ms
            self._record(call.run_id, workspace, call.function, outcome, waited_ms, call.revision, call.key)
        return completed

    def _was_not_read(self, workspace: str, error: SkepError) -> None:
        match error:
            case WorkspaceNotFound():
                self._pools.missed(workspace)
            case WorkspaceBroken() | VolumeUnavailable():
                self._metrics.tally(workspace).ended("unavailable", duration_ms=None, queued_s=None)


def _nowhere(*_: Any) -> None:
    """For what is written down elsewhere."""


def _is_large(call: Call) -> bool:
    return len(call.parameters_json) >= LARGE_BYTES or call.code is not None


async def _run_large(pool: Pool, call: Call, version: Hashable) -> Completed:
    with pool.holding(call) as has_room:
        if not has_room:
            return pool.refusal()
        flight = pool.begin(call, version)
        if flight is None:
            return await pool.run(call, version)
        try:
            return Completed(await flight.outcome, 0.0, None)
        except asyncio.CancelledError:
            flight.cancel()
            raise
