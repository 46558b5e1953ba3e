"""All pools: the places for workers that they share, and who gives one up when another needs it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Hashable
from contextlib import asynccontextmanager
from typing import Final

import structlog

from service.domain.names import revision_key, workspace_of
from service.errors import Draining, WorkersUnavailable
from service.metrics.metrics import Metrics
from service.metrics.observation import Live, Observation, WorkerState
from service.workers.account import Account
from service.workers.admission import Admission
from service.workers.caches import Caches
from service.workers.common import Common, Source
from service.workers.ends import EVICTED, SHUTDOWN, End
from service.workers.flight import Flight
from service.workers.launcher import Launcher, Limits, Package
from service.workers.pool import Pool
from service.workers.waiting import Ticket
from service.workers.worker import Worker
from service.workers.zygote import Zygote

SWEEP_MAX_S: Final = 1.0
TENURE_S: Final = 0.5
"""A worker that is never idle keeps its place for so long at least."""
SPARE_IDLE_S: Final = 1.0
"""A worker that was idle for less is not taken away for another workspace's backlog."""
SWEEP_TOGETHER: Final = 50
"""So many pools are looked after before everybody else has had a turn."""
REVISIONS_AT_ONCE: Final = 10
"""So many revisions of a workspace have workers beside the live one: as many as an alias may name."""

_log = structlog.get_logger()


class Pools:
    """The pools of every workspace that has workers, or had some a moment ago."""

    def __init__(  # noqa: PLR0913, PLR0917  # what all pools share
        self,
        zygote: Zygote,
        limits: Limits,
        admission: Admission,
        source: Source,
        metrics: Metrics,
        caches: Caches,
    ) -> None:
        self._inactive_s = limits.inactive_s
        self._sweep_s = min(SWEEP_MAX_S, limits.shrink_after_s / 10, limits.inactive_s / 10)
        self._launcher = Launcher(zygote, limits, metrics, caches, make_room=self._make_room, spare=self._spare)
        self._common = Common(self._launcher, admission, source)
        self._admission = admission
        self._caches = caches
        self._metrics = metrics
        self._pools: dict[str, Pool] = {}
        """By workspace, and by `revision_key`."""
        self._accounts: dict[str, Account] = {}
        """Of workspaces with pools."""
        self._again: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Take calls; on exit every worker is gone, whatever it was doing."""
        sweeper = asyncio.create_task(self._sweep())
        try:
            yield
        finally:
            sweeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sweeper
            await asyncio.shield(self._end())

    def of(self, workspace: str) -> Pool:
        """The pool of a workspace."""
        return self._pools.get(workspace) or self._open(workspace)

    def of_revision(self, workspace: str, number: int) -> Pool:
        """The pool of a revision that is not the live one. Raises: WorkersUnavailable when too many have runs now."""
        key = revision_key(workspace, number)
        pool = self._pools.get(key)
        if pool is not None:
            return pool
        account = self._accounts.get(workspace)
        others = [self._pools[other] for other in account.pools if other != workspace] if account is not None else []
        if len(others) >= REVISIONS_AT_ONCE:
            idle = [other for other in others if not other.is_busy]
            if not idle:
                raise WorkersUnavailable(f"{len(others)} older revisions of {workspace!r} have runs under way already.")
            oldest = min(idle, key=lambda other: other.idle_since)
            oldest.close(EVICTED)
            self._forget(oldest)
        return self._open(key)

    def find(self, workspace: str, run_id: str) -> Flight | tuple[Pool, Ticket] | None:
        """A run that is under way or waits here. Looks at all there are, so that no run pays for being found."""
        for worker in self._launcher.workers:
            if workspace_of(worker.workspace) == workspace and (flight := worker.find(run_id)) is not None:
                return flight
        for name, pool in self._pools.items():
            if workspace_of(name) == workspace and (ticket := pool.find(run_id)) is not None:
                return pool, ticket
        return None

    async def deploy(self, workspace: str, package: Package, commit: Callable[[bytes], Awaitable[Hashable]]) -> None:
        """See `Pool.deploy`."""
        await self.of(workspace).deploy(package, commit)

    async def compile(self, workspace: str, package: Package) -> bytes:
        """Only compile, in a worker that ends with it. Returns the bundle. Raises: as `Launcher.start`."""
        return await self._launcher.compile(workspace, package)

    def discard(self, workspace: str) -> None:
        """The workspace is gone: so are its workers, when their last run has ended."""
        account = self._accounts.get(workspace)
        for key in account.pools if account is not None else ():
            self._pools[key].close()
            self._caches.drop(key)
        self._caches.drop(workspace)
        self._metrics.forget(workspace)

    def missed(self, workspace: str) -> None:
        """There is no such workspace on the volume: if there was one, somebody has deleted it there."""
        account = self._accounts.get(workspace)
        if account is not None and any(self._pools[key].is_stored for key in account.pools):
            self.discard(workspace)

    def look_up_quota(self, workspace: str | None) -> None:
        """A workspace may have another one; None for all of them."""
        for pool in tuple(self._pools.values()):
            if workspace is None or pool.workspace == workspace:
                pool.look_up_quota()
                pool.tend()

    def runs_of(self, workspace: str) -> tuple[int, int]:
        """Its runs under way, and those that wait."""
        account = self._accounts.get(workspace)
        return (0, 0) if account is None else (account.running, account.waiting)

    def kill_all(self, why: End = SHUTDOWN) -> None:
        """End every worker, whatever it is doing, and start no more; runs in them are lost, for this reason."""
        self._launcher.places.close()
        for pool in self._pools.values():
            pool.refuse_all(lambda: Draining("The service is going down."))
        for worker in tuple(self._launcher.workers):
            worker.kill(why)

    @property
    def workers(self) -> Collection[Worker]:
        """Every one whose process exists."""
        return self._launcher.workers

    def observe(self) -> Observation:
        """How things stand."""
        states: dict[WorkerState, int] = {"starting": 0, "idle": 0, "busy": 0, "retiring": 0}
        for worker in self._launcher.workers:
            states[worker.state] += 1
        return Observation(
            runs_running=self._admission.running,
            runs_waiting=self._admission.waiting,
            workers=states,
            cache_bytes=self._caches.size_bytes,
            workspaces={
                name: Live(account.waiting, account.workers)
                for name in self._metrics.workspaces
                if (account := self._accounts.get(name)) is not None
            },
        )

    def _open(self, key: str) -> Pool:
        workspace = workspace_of(key)
        account = self._accounts.get(workspace)
        if account is None:
            account = self._accounts[workspace] = Account(workspace)
        pool = self._pools[key] = account.pools[key] = Pool(key, account, self._common)
        self._metrics.tally(workspace)
        return pool

    def _forget(self, pool: Pool) -> None:
        """There is nothing in it, or nothing more will come."""
        account = pool.account
        if self._pools.get(pool.key) is pool:
            del self._pools[pool.key], account.pools[pool.key]
            if not account.pools:
                del self._accounts[account.workspace]

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self._sweep_s)
            for number, (name, pool) in enumerate(tuple(self._pools.items()), 1):
                try:
                    pool.sweep(inactive_s=self._inactive_s)
                except Exception:  # noqa: BLE001  # a side task: it must not end, and nobody else would hear of it
                    _log.exception("sweep failed", workspace=name)
                if pool.is_empty:
                    self._forget(pool)
                if number % SWEEP_TOGETHER == 0:
                    await asyncio.sleep(0)
            if self._metrics.is_crowded:
                for name in [name for name in self._metrics.workspaces if name not in self._accounts]:
                    self._metrics.forget(name)

    async def _end(self) -> None:
        self.kill_all()
        for worker in tuple(self._launcher.workers):
            await worker.gone.wait()

    def _make_room(self) -> None:
        """Somebody waits for a place: the worker that has been idle for longest goes, one that is kept warm last.

        Looking through all of them costs less than keeping them in order would: that would be paid by every run, this
        by the few that need a process. Where none is idle, one that is busy all the time takes no more runs and goes
        when it has ended those it has: a turn for each, and no workspace has a place for ever.
        """
        ending = sum(1 for worker in self._launcher.workers if worker.is_ending or worker.retired is not None)
        if ending >= self._launcher.places.wanted:
            return
        loop = asyncio.get_running_loop()
        there = [(pool, worker) for pool in self._pools.values() for worker in pool.workers]
        idle = [(pool, worker) for pool, worker in there if worker.is_idle]
        settled = [worker for _, worker in there if loop.time() - worker.since >= TENURE_S]
        if idle:
            _, worker = min(idle, key=lambda pair: (pair[0].has_spare is False, pair[1].idle_since))
            worker.kill(EVICTED)
        elif settled:
            max(settled, key=lambda worker: worker.oldest_run_at).retire(EVICTED)
        elif self._again is None:
            self._again = loop.call_later(TENURE_S, self._look_again)

    def _look_again(self) -> None:
        self._again = None
        if self._launcher.places.wanted:
            self._make_room()

    def _spare(self, idle_s: float) -> bool:
        """End the worker that has been idle for longest, of those that are not kept warm and were idle for a while: the
        only one of a workspace for `idle_s`.
        """
        now = asyncio.get_running_loop().time()
        idle = [
            worker
            for pool in self._pools.values()
            if pool.has_spare
            for worker in pool.workers
            if worker.is_idle and now - worker.idle_since >= (SPARE_IDLE_S if len(pool.workers) > 1 else idle_s)
        ]
        if not idle:
            return False
        min(idle, key=lambda worker: worker.idle_since).kill(EVICTED)
        return True
