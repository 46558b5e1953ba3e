"""The pool: one live worker a workspace, the only owner of processes.

Idle workers are kept in the order of their last run; when every place is taken, the one idle for longest goes. A worker
with a run in it is never evicted. A place is free again only when the process that had it is gone, so that there are
never more than `workers_max` of them.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final
from weakref import WeakValueDictionary

import structlog

from sandbox import protocol
from service.domain.egress import Rules
from service.errors import WorkersUnavailable
from service.workers.fetches import Fetches, FetchSettings
from service.workers.queue import WAIT_TIMEOUT_S, NoPlace, Places
from service.workers.worker import Worker
from service.workers.zygote import Zygote

STARTS_MAX: Final = 5
"""So many workers that end before their run begins are one too many."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Limits:
    """What every worker gets, and how many there may be."""

    workers_max: int
    inactive_s: float
    memory_max_bytes: int
    result_max_bytes: int
    logs_max_bytes: int
    bundle_max_bytes: int
    modules: tuple[str, ...]
    fetching: FetchSettings

    @property
    def frame_max_bytes(self) -> int:
        """What a worker may send at once: its largest value, and what else may be in a message."""
        body_max_bytes = self.fetching.limits.body_max_bytes + protocol.FRAME_OVERHEAD_BYTES
        largest = max(self.result_max_bytes, self.logs_max_bytes, self.bundle_max_bytes, body_max_bytes)
        return largest + protocol.FRAME_OVERHEAD_BYTES


@dataclass(frozen=True, slots=True)
class Package:
    """What a worker loads: a definition, and what was compiled from it before, if anything was."""

    definition_json: bytes
    bundle: bytes
    network: Rules | None = None
    """What the workspace may reach, if it says so; its worker is held to it."""


@dataclass(frozen=True, slots=True)
class _Live:
    worker: Worker
    version: Hashable


class Pool:
    """Runs calls in workers; starts, replaces and evicts them."""

    def __init__(self, zygote: Zygote, limits: Limits) -> None:
        self._zygote = zygote
        self._limits = limits
        self._places = Places(limits.workers_max)
        self._live: dict[str, _Live] = {}
        self._workers: set[Worker] = set()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

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

    @property
    def size(self) -> int:
        """Workers that exist, those that are ending included."""
        return len(self._workers)

    @asynccontextmanager
    async def acquired(
        self, workspace: str, version: Hashable, package: Callable[[], Awaitable[Package]],
        keep: Callable[[bytes], Awaitable[None]],
    ) -> AsyncIterator[tuple[Worker, bool]]:  # fmt: skip
        """The workspace's worker, and whether one had to be started; from `package()` if none of this version is live.

        It is not evicted while it is held. `keep` is given the bundle if the worker had to compile. Raises:
        CompilationFailed, InvalidRequest, WorkerDied when the workspace cannot be loaded; NoPlace, WorkersUnavailable.
        """
        until = asyncio.get_running_loop().time() + WAIT_TIMEOUT_S
        started = False
        for _ in range(STARTS_MAX):
            worker = self.find(workspace, version)
            if worker is not None:
                worker.held += 1
            else:
                started = True
                worker = await self._open(workspace, version, package, keep, until=until)
            try:
                # If code outside the interpreter holds it, it is back or replaced in a moment.
                await worker.responsive.wait()
                if not worker.is_ending:
                    yield worker, started
                    return
            finally:
                worker.give_back()
        raise WorkersUnavailable("The workspace's workers end as soon as they are started.")

    async def deploy(self, workspace: str, package: Package, commit: Callable[[bytes], Awaitable[Hashable]]) -> None:
        """Start a worker with the new definition and, once it has loaded and `commit` has made it last, let it take
        over. The old worker finishes its runs and goes. When anything fails the old one stays, untouched.

        Compiling has a worker to itself: what the compiler touches would stay private memory of the one that is kept,
        0.8 MiB for as long as it lives. That one loads the bundle, as every later worker of this version will.

        `commit` is given the bundle and returns the version. Raises: as `acquired`.
        """
        async with self._lock(workspace):
            bundle = await self.compile(workspace, package)
            worker, _ = await self._start_now(workspace, replace(package, bundle=bundle))
            try:
                version = await commit(bundle)
            except BaseException:
                worker.kill("its deploy failed")
                raise
            self._make_live(workspace, worker, version)
            worker.give_back()

    async def compile(self, workspace: str, package: Package) -> bytes:
        """Only compile, in a worker that ends with it. Returns the bundle. Raises: as `acquired`."""
        worker, bundle = await self._start_now(workspace, package)
        worker.kill("it was only there to compile")
        return bundle

    async def _start_now(self, workspace: str, package: Package) -> tuple[Worker, bytes]:
        try:
            return await self._start(workspace, package)
        except NoPlace:
            raise WorkersUnavailable("Every worker is busy; none could be started in time.") from None

    def kill_all(self, reason: str) -> None:
        """End every worker, whatever it is doing, and start no more; runs in them are lost, for this reason."""
        self._places.close()
        for worker in tuple(self._workers):
            worker.kill(reason)

    def discard(self, workspace: str) -> None:
        """The workspace is gone: so is its worker, when its last run has ended."""
        live = self._live.pop(workspace, None)
        if live is not None:
            live.worker.retire()

    def find(self, workspace: str, version: Hashable) -> Worker | None:
        """The workspace's live worker, if it has loaded this version."""
        live = self._live.get(workspace)
        if live is None or live.version != version or live.worker.is_ending:
            return None
        return live.worker

    async def _open(
        self, workspace: str, version: Hashable, package: Callable[[], Awaitable[Package]],
        keep: Callable[[bytes], Awaitable[None]], *, until: float,
    ) -> Worker:  # fmt: skip
        """The live worker, held, started if need be. Raises: as `acquired`."""
        lock = self._lock(workspace)
        try:
            async with asyncio.timeout_at(until):
                await lock.acquire()
        except TimeoutError:
            raise NoPlace from None
        try:
            # Whoever waited for the lock mostly finds the work done.
            worker = self.find(workspace, version)
            if worker is not None:
                worker.held += 1
                return worker
            worker, bundle = await self._start(workspace, await package(), until=until)
            self._make_live(workspace, worker, version)
        finally:
            lock.release()
        if bundle:
            try:
                await keep(bundle)
            except BaseException:
                worker.give_back()
                raise
        return worker

    async def _start(self, workspace: str, package: Package, *, until: float | None = None) -> tuple[Worker, bytes]:
        """A loaded worker that is nobody's yet, held by the caller. Raises: NoPlace, and as `acquired`."""
        await self._take_place(until or asyncio.get_running_loop().time() + WAIT_TIMEOUT_S)
        try:
            child = await self._zygote.fork(memory_max_bytes=self._limits.memory_max_bytes)
        except BaseException:
            self._places.give_back()
            raise
        limits = self._limits
        worker = Worker(
            workspace,
            child,
            result_max_bytes=limits.result_max_bytes,
            logs_max_bytes=limits.logs_max_bytes,
            frame_max_bytes=limits.frame_max_bytes,
            on_idle=self._became_idle,
            on_gone=self._is_gone,
            open_fetches=lambda worker: Fetches(workspace, package.network, limits.fetching, worker.write_answer),
        )
        self._workers.add(worker)
        try:
            await worker.connect()
            bundle = await worker.load(
                protocol.Load(
                    workspace=workspace,
                    definition=package.definition_json,
                    bundle=package.bundle,
                    modules=list(limits.modules),
                    result_max_bytes=limits.result_max_bytes,
                    logs_max_bytes=limits.logs_max_bytes,
                    fetches=limits.fetching.limits,
                )
            )
        except BaseException:
            worker.kill("it could not be loaded")
            raise
        _log.debug("worker started", workspace=workspace, pid=worker.pid, compiled=bool(bundle))
        return worker, bundle

    async def _take_place(self, until: float) -> None:
        if self._places.try_take():
            return
        self._evict_one()
        await self._places.take(until=until)

    def _evict_one(self) -> None:
        """The worker that has been idle for longest goes. Looking through all of them costs less than keeping them in
        order would: that would be paid by every run, this by the few that need a process.
        """
        idle = [live.worker for live in self._live.values() if live.worker.is_idle and not live.worker.is_ending]
        if idle:
            worker = min(idle, key=_idle_since)
            del self._live[worker.workspace]
            worker.kill("it was evicted")

    def _make_live(self, workspace: str, worker: Worker, version: Hashable) -> None:
        old = self._live.get(workspace)
        self._live[workspace] = _Live(worker, version)
        if old is not None:
            old.worker.retire()

    def _became_idle(self, worker: Worker) -> None:
        if self._places.wanted and not worker.is_ending:
            self._evict_one()

    def _is_gone(self, worker: Worker) -> None:
        self._workers.discard(worker)
        live = self._live.get(worker.workspace)
        if live is not None and live.worker is worker:
            del self._live[worker.workspace]
        self._places.give_back()

    async def _sweep(self) -> None:
        """End workers that had no run for `inactive_s`."""
        inactive_s = self._limits.inactive_s
        while True:
            await asyncio.sleep(min(max(inactive_s / 10, 0.05), 60))
            now = asyncio.get_running_loop().time()
            for live in tuple(self._live.values()):
                if live.worker.is_idle and now - live.worker.idle_since >= inactive_s:
                    live.worker.kill("it was inactive")

    async def _end(self) -> None:
        self.kill_all("the service is going down")
        for worker in tuple(self._workers):
            await worker.gone.wait()

    def _lock(self, workspace: str) -> asyncio.Lock:
        return self._locks.setdefault(workspace, asyncio.Lock())


def _idle_since(worker: Worker) -> float:
    return worker.idle_since
