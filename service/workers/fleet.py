"""The workers of one workspace: when there are more of them, and when fewer.

They are started one at a time, for a backlog and not for each run: when there is none, when the first in the queue has
waited for longer than a start takes, or when all there are compute without a pause. They go when fewer would have been
enough for a while. A workspace whose workers die of what they run gets new ones more and more slowly. While a deploy is
under way nothing else is started; what it starts takes the place of all there was.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Hashable
from dataclasses import replace
from math import ceil
from typing import Final, Literal

import structlog

from service.domain.pool import PoolRules
from service.errors import WorkersCrash
from service.workers.account import Account
from service.workers.common import Common, FleetOwner, NotStarted
from service.workers.crashes import Crashes
from service.workers.ends import DELETED, DEPLOY_FAILED, INACTIVE, REPLACED, SHRUNK, End, is_crash
from service.workers.launcher import Package
from service.workers.places import NoPlace
from service.workers.saturation import Saturation
from service.workers.waiting import Waiting
from service.workers.worker import Worker

BACKLOG_S: Final = 0.02
"""Who has waited for so long would have been better off with another worker: its start takes less."""
RETRY_MAX_S: Final = 60
"""The longest pause between starts that fail and nobody waits for; the first is a second, each twice the one before."""
BACKLOG_IDLE_S: Final = 1.0
FLOOR_IDLE_S: Final = 60.0
"""The only worker of another workspace gives up its place, and its cache, for a backlog here if it has been idle for
so long; for one that is only to be kept warm, if for so long.
"""
FLOOR_RETRY_S: Final = 5.0
SHRINK_STEPS: Final = 10
"""When it goes on shrinking, the next worker goes after so small a part of the time that the first took."""

_log = structlog.get_logger()

Need = Literal["cold", "warm"]
"""Why a worker is to be started: a run has none to wait for; or there should be more of them."""


class Fleet:
    """Every worker that takes runs, all of one version."""

    def __init__(self, key: str, account: Account, common: Common, waiting: Waiting, *, owner: FleetOwner) -> None:
        self.version: Hashable = None
        self.rules = PoolRules()
        self.functions: Collection[str] | None = None
        """Of this version; None where there is no such workspace, only bodies that are run once."""
        self.is_stale = False
        """Somebody has seen another version; nothing begins until that is looked into."""
        self._key = key
        self._account = account
        self._source = common.source
        self._launcher = common.launcher
        self._owner = owner
        self._waiting = waiting
        self._loop = asyncio.get_running_loop()
        self._workers: list[Worker] = []
        self._crashes = Crashes()
        self._lock = asyncio.Lock()
        """Held by whoever starts workers."""
        self._starting: asyncio.Task[None] | None = None
        self._is_in_line = False
        """For a place."""
        self._floor_at = 0.0
        """There was no place for a worker that nobody waits for; one is looked for again at this loop time."""
        self._surplus_since: float | None = None
        self._saturation = Saturation()
        self._is_saturated = False
        self._closings = 0
        """How often the workspace was deleted: who waits for something meanwhile must not bring it back."""
        self._failures = 0
        """Starts in a row that failed."""
        self._retry_at = 0.0
        """Nothing is started ahead of need before this loop time."""

    @property
    def workers(self) -> list[Worker]:
        """Those that take runs."""
        return [worker for worker in self._workers if worker.retired is None and not worker.is_ending]

    @property
    def is_starting(self) -> bool:
        """Whether a worker is being started."""
        return self._lock.locked()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing that is worth remembering."""
        is_busy = self._workers or self._starting is not None or self._lock.locked() or self.rules.floor
        return not is_busy and self._crashes.is_clean(self._loop.time())

    def with_room(self) -> Worker | None:
        """The worker with the fewest runs, if it has room for another."""
        best: Worker | None = None
        for worker in self._workers:
            if worker.has_room and (best is None or worker.runs < best.runs):
                best = worker
        return best

    async def deploy(self, package: Package, commit: Callable[[bytes], Awaitable[Hashable]]) -> None:
        """Start a worker with a new definition and, once it has loaded and `commit` has made it last, let it take
        over. The old ones finish their runs and go. When anything fails they stay, untouched.

        Compiling has a worker to itself, and its memory goes with it. The one that is kept loads the bundle, as all
        later ones will. `commit` is given the bundle and returns the version. Raises: as `Launcher.start`.
        """
        async with self._lock:
            package = replace(package, bundle=await self._launcher.compile(self._key, package))
            await self._launcher.take_any_place()
            worker, _ = await self._launcher.start(self._key, package, self._owner, kind="warm")
            try:
                version = await commit(package.bundle)
            except BaseException:
                worker.kill(DEPLOY_FAILED)
                raise
            self._crashes.forget()
            self.become(replace(package, version=version))
            self._add(worker)
        self.tend()

    def close(self, why: End = DELETED) -> None:
        """The workspace is gone: so are its workers, when their last run has ended."""
        self._closings += 1
        self._retire_all(why)
        self.become(Package(b"", b""))

    def tend(self) -> None:
        """See to it that there are as many workers as there should be."""
        if self._starting is None and self._need() is not None:
            self._starting = self._loop.create_task(self._start())

    def is_not_needed(self) -> None:
        """Nobody waits any more: a start that has not begun is called off."""
        if self._is_in_line and self._starting is not None:
            self._starting.cancel()

    def sweep(self, *, peak: int, inactive_s: float) -> None:
        """What is to be done now and then; `peak`: runs at once since the last time, waiting ones included."""
        now = self._loop.time()
        workers = self.workers
        for worker in workers[self.rules.floor :]:
            if worker.is_idle and now - worker.idle_since >= inactive_s:
                worker.kill(INACTIVE)
        needed = ceil(peak / self.rules.concurrency)
        self._is_saturated = False
        if self.rules.ceil > 1 and peak > 0:
            # With many runs in one worker nobody waits in the queue, and yet they may all wait for one processor.
            self._saturation.look(now, workers)
            self._is_saturated = self._saturation.is_full and peak > len(workers)
            needed = max(needed, self._saturation.needed)
        self._shrink(now, workers, needed=needed)
        self.tend()

    def lose(self, worker: Worker) -> None:
        """Its process is gone."""
        if worker in self._workers:
            self._workers.remove(worker)
        self._launcher.bury(worker)
        end = worker.end
        now = self._loop.time()
        if end is not None and is_crash(end) and self._crashes.record(now, end.sentence):
            pause_s = self._crashes.pause_s(now)
            _log.warning("crash loop", workspace=self._key, crashes=self._crashes.count, pause_s=pause_s)
            if not self.workers:
                self._waiting.refuse(lambda: NotStarted(self._crash(pause_s)))

    def check_crashes(self) -> None:
        """Raises: WorkersCrash while no worker is started."""
        pause_s = self._crashes.pause_s(self._loop.time())
        if pause_s:
            raise self._crash(pause_s)

    def _need(self) -> Need | None:
        workers = len(self.workers)
        now = self._loop.time()
        if self._crashes.pause_s(now):
            return None
        if self._waiting and (self.is_stale or not workers):
            return "cold"
        is_below = workers < self.rules.floor and now >= self._floor_at
        is_wanted = is_below or (self._may_grow(workers) and self._has_backlog())
        return "warm" if is_wanted and now >= self._retry_at else None

    def _may_grow(self, workers: int) -> bool:
        ceil = self.rules.ceil
        return workers < ceil and workers + self._account.workers_beside(self._key) < ceil

    def _has_backlog(self) -> bool:
        return self._is_saturated or (
            self._waiting.waited_s() >= BACKLOG_S and self.with_room() is None and not self._owner.is_at_quota
        )

    async def _start(self) -> None:
        """Start workers for as long as there is a need for one."""
        try:
            while self._need() is not None:
                async with self._lock:
                    need = self._need()
                    if need is None or not await self._start_one(need):
                        return
        except Exception as error:  # noqa: BLE001  # a side task: whoever waits raises it, where it is logged
            self._cannot_start(error)
        finally:
            self._starting = None
            if self._waiting and not self.workers:
                self._loop.call_soon(self.tend)

    async def _start_one(self, need: Need) -> bool:
        """Returns False when there is no place for it now; the next sweep tries again."""
        closings = self._closings
        package = await self._source.find(self._key)
        if self._closings != closings:
            return True
        was_stale = self.is_stale
        self.become(package)
        if (was_stale and self.workers) or (need == "cold" and not self._waiting):
            return True
        if not await self._take_place(need):
            return need == "cold"
        worker, bundle = await self._launcher.start(self._key, package, self._owner, kind=need)
        self._failures = 0
        self._is_saturated = False
        if self._closings != closings:
            worker.kill(DELETED)
            return True
        self._add(worker)
        if bundle:
            await self._source.keep(self._key, replace(package, bundle=bundle))
        return True

    async def _take_place(self, need: Need) -> bool:
        try:
            if need == "warm":
                has_backlog = self._has_backlog()
                if not has_backlog:
                    self._floor_at = self._loop.time() + FLOOR_RETRY_S
                await self._launcher.take_spare_place(idle_s=BACKLOG_IDLE_S if has_backlog else FLOOR_IDLE_S)
                self._floor_at = 0.0
            else:
                self._is_in_line = True
                await self._launcher.take_place(timeout_s=self.rules.timeout_ms / 1000)
        except NoPlace:
            return False
        finally:
            self._is_in_line = False
        return True

    def become(self, package: Package) -> None:
        """From now on runs are of this version."""
        if package.version != self.version:
            self._retire_all(REPLACED)
            if package.functions is None or package.rules.ceil == 1:
                self._launcher.drop_cache(self._key)
        self.version, self.functions, self.rules = package.version, package.functions, package.rules
        self.is_stale = False
        self._owner.renewed()

    def _retire_all(self, why: End) -> None:
        for worker in self._workers:
            worker.retire(why)
        self._workers.clear()

    def _add(self, worker: Worker) -> None:
        if not worker.is_ending:
            self._workers.append(worker)
            self._owner.adopted(worker)

    def _shrink(self, now: float, workers: list[Worker], *, needed: int) -> None:
        """One worker goes when fewer were enough for a while, and then one after the other: a rush may come back."""
        if len(workers) <= max(self.rules.cruise, self.rules.floor, needed):
            self._surplus_since = None
            return
        if self._surplus_since is None:
            self._surplus_since = now
        shrink_after_s = self._launcher.limits.shrink_after_s
        if now - self._surplus_since >= shrink_after_s:
            self._surplus_since = now - shrink_after_s * (1 - 1 / SHRINK_STEPS)
            worker = min(reversed(workers), key=lambda worker: worker.runs)
            self._workers.remove(worker)
            worker.retire(SHRUNK)

    def _cannot_start(self, error: Exception) -> None:
        """Whoever has no worker to wait for hears of it; the others go on waiting."""
        self._retry_at = self._loop.time() + min(2**self._failures, RETRY_MAX_S)
        self._failures += 1
        _log.warning("worker not started", workspace=self._key, reason=str(error), kind=type(error).__name__)
        if self.is_stale or not self.workers:
            self._waiting.refuse(lambda: NotStarted(error))

    def _crash(self, pause_s: float) -> WorkersCrash:
        return WorkersCrash(reason=self._crashes.reason, crashes=self._crashes.count, pause_s=pause_s)
