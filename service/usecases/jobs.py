"""Accepted runs: on disk before anybody hears of it, run when it is their turn, recorded when they are over."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Any, Final

import structlog

from service.database.owners import Owner
from service.domain.jobs import Job, JobQueue
from service.domain.outcome import Cancelled, Completed, Outcome, Rejected
from service.domain.times import now_ms
from service.errors import (
    DatabaseUnavailable,
    Draining,
    SkepError,
    TooMany,
    VolumeUnavailable,
    WorkersCrash,
    WorkersUnavailable,
)
from service.usecases.job_endings import FAILED, RESTARTED, Ending, Explain, ending_of
from service.usecases.job_store import JobStore
from service.usecases.live_runs import LiveRuns

LOOK_EVERY_S: Final = 2.0
"""So often a service looks whether another one on its database has died."""
BACK_OFF_S: Final = 0.25
BACK_OFF_MAX_S: Final = 30.0
TRIED_FOR_MS: Final = 3_600_000
"""So long after it was first to begin a run for which there is no room fails."""

_LATER: Final = (Rejected, Draining, VolumeUnavailable, DatabaseUnavailable, WorkersUnavailable, WorkersCrash)
"""A run that ended so has not begun, and may the next time. So has one whose error says when to try again."""

RunJob = Callable[[Job], Awaitable[Completed]]
_log = structlog.get_logger()


class Jobs:
    """The accepted runs of this service. `under_way` is entered around each run, and raises Draining when none may
    begin.
    """

    def __init__(  # noqa: PLR0913  # what they are kept in, what runs them, what tells of them
        self,
        store: JobStore,
        queue: JobQueue,
        owner: Owner,
        live: LiveRuns,
        run: RunJob,
        *,
        under_way: AbstractContextManager[None],
        explain: Explain,
    ) -> None:
        self._store = store
        self._queue = queue
        self._owner = owner
        self._live = live
        self._run_job = run
        self._under_way = under_way
        self._explain = explain
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._sent: set[str] = set()
        """Those whose task may be cancelled: what it was doing before and does after is not to be interrupted."""
        self._pauses: dict[str, asyncio.Event] = {}
        self._is_stopped = True
        self.on_finished: Callable[[Ending], None] = lambda _ending: None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Take over what dead services have left, now and whenever one dies; on exit nothing of ours is under way."""
        look = asyncio.create_task(self._look())
        try:
            yield
        finally:
            self.stop()
            look.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await look
            tasks = list(self._tasks.values())
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)

    def start(self) -> None:
        """Begin those whose turn it is."""
        self._is_stopped = False
        self._begin_more()

    def stop(self) -> None:
        """Begin no more: what waits stays on disk, for whoever comes next."""
        self._is_stopped = True

    @property
    def waiting(self) -> int:
        """Those that have not begun."""
        return self._queue.waiting

    async def accept(self, job: Job) -> None:
        """When this returns it is on disk, and will be run. Raises: TooMany, DatabaseUnavailable."""
        if not self._queue.has_room(job.workspace, job.size_bytes):
            raise TooMany("As many runs of this workspace are accepted and not finished as may be.")
        self._queue.hold(job)
        # Kept whatever becomes of the caller: it may be on disk although nobody waits for the answer.
        accepting = asyncio.create_task(self._accept(job))
        accepting.add_done_callback(_was_seen)
        await asyncio.shield(accepting)

    async def _accept(self, job: Job) -> None:
        try:
            await self._store.accept(job)
        except BaseException:
            self._queue.drop(job)
            raise
        self._queue.add(job)
        self._begin_more()

    def get(self, workspace: str, job_id: str) -> Job | None:
        """An accepted run of this service that is not finished."""
        job = self._queue.get(job_id)
        return job if job is not None and job.workspace == workspace else None

    def cancel(self, job: Job) -> bool:
        """Call it off; False if it is over."""
        if job.state == "finished":
            return False
        if job.state == "queued":
            self._queue.withdraw(job)
            self._start(job, self._end(job, Cancelled((), 0.0)))
            return True
        live = self._live.find(job.workspace, job.id)
        if live is None or not live.cancel():
            job.is_cancelled = True
            if job.id in self._sent:
                self._tasks[job.id].cancel()
            elif (pause := self._pauses.get(job.id)) is not None:
                pause.set()
        return True

    def _begin_more(self) -> None:
        while not self._is_stopped and (job := self._queue.next()) is not None:
            self._start(job, self._work(job))

    def _start(self, job: Job, work: Coroutine[Any, Any, None]) -> None:
        async def whole() -> None:
            try:
                await work
            except Exception:  # noqa: BLE001  # a side task: nobody else would hear of it
                _log.exception("accepted run failed", workspace=job.workspace, run=job.id)
            finally:
                self._tasks.pop(job.id, None)
                self._begin_more()

        self._tasks[job.id] = asyncio.create_task(whole())

    async def _work(self, job: Job) -> None:
        """One whose turn it is, until it is over. Where there is no room for it now it keeps its turn and tries again:
        those behind it in its workspace would fare no better.
        """
        while _is_refusal(ended := await self._ended(job)):
            job.refused_ms = job.refused_ms or now_ms()
            job.refusals += 1
            if now_ms() - job.refused_ms > TRIED_FOR_MS:
                break
            with contextlib.suppress(DatabaseUnavailable):
                await self._store.put_back(job)
            if self._is_stopped:
                return
            await self._pause(job, _retry_after_s(ended))
        self._queue.end(job)
        await self._end(job, ended)

    async def _pause(self, job: Job, retry_after_s: float) -> None:
        """Until it is tried again, or called off."""
        pause = self._pauses[job.id] = asyncio.Event()
        try:
            async with asyncio.timeout(
                min(max(BACK_OFF_S * 2 ** min(job.refusals, 16), retry_after_s), BACK_OFF_MAX_S)
            ):
                await pause.wait()
        except TimeoutError:
            pass
        finally:
            del self._pauses[job.id]

    async def _ended(self, job: Job) -> Outcome | SkepError:
        try:
            if not job.is_cancelled:
                await self._store.begin(job)
            if job.is_cancelled:
                return Cancelled((), 0.0)
            with self._under_way:
                self._sent.add(job.id)
                completed = await self._run_job(job)
                job.ran_revision = completed.revision
                return completed.outcome
        except asyncio.CancelledError:
            if job.is_cancelled:
                return Cancelled((), 0.0)
            return RESTARTED if job.id in self._sent else Draining("The service is going down.")
        except SkepError as error:
            return error
        except Exception:  # noqa: BLE001  # nobody else would hear of it, and the run would stay for ever
            _log.exception("accepted run failed", workspace=job.workspace, run=job.id)
            return FAILED
        finally:
            self._sent.discard(job.id)

    async def _end(self, job: Job, ended: Outcome | SkepError) -> None:
        """Record it: one that cannot be recorded now is tried again. Ends with the service at the latest."""
        job.state = "finished"
        ending = ending_of(job, ended, self._explain)
        pause_s = BACK_OFF_S
        while True:
            try:
                await self._store.finish(ending)
                break
            except DatabaseUnavailable:
                if self._is_stopped:
                    return  # its row says that it had begun: who comes next finds it lost
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, BACK_OFF_MAX_S)
        self._queue.drop(job)
        self.on_finished(ending)

    async def _look(self) -> None:
        while True:
            try:
                for name in await self._store.others():
                    if not self._owner.is_alive(name):
                        await self._take_over(name)
            except DatabaseUnavailable:
                pass
            except Exception:  # noqa: BLE001  # a side task: it must not end, and nobody else would hear of it
                _log.exception("runs of other services not looked after")
            await asyncio.sleep(LOOK_EVERY_S)

    async def _take_over(self, dead: str) -> None:
        lost: list[Ending] = []

        def lose(job: Job) -> Ending:
            lost.append(ending_of(job, RESTARTED, self._explain))
            return lost[-1]

        jobs = await self._store.take_over(dead, lose)
        _log.info("accepted runs taken over", owner=dead, queued=len(jobs), lost=len(lost))
        for ending in lost:
            self.on_finished(ending)
        for job in jobs:
            self._queue.hold(job)
            self._queue.add(job)
        self._begin_more()


def _is_refusal(ended: Outcome | SkepError) -> bool:
    """Whether it did not begin, for a reason that may pass."""
    return isinstance(ended, _LATER) or _retry_after_s(ended) > 0


def _retry_after_s(ended: Outcome | SkepError) -> float:
    """What it says of when to try again; 0 if it does not."""
    after_s: float = getattr(ended, "retry_after_s", 0.0)
    return after_s


def _was_seen(task: "asyncio.Task[None]") -> None:
    if not task.cancelled():
        task.exception()
