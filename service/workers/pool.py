"""The pool of one workspace, or of one revision of it that is not the live one.

Its runs begin at once in one of its workers, or wait for one in order.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from contextlib import AbstractContextManager
from typing import Final

from service.domain.outcome import Cancelled, Completed, Outcome, Rejected
from service.domain.pool import PoolRules
from service.domain.quotas import narrowed
from service.errors import FunctionNotFound, WorkspaceNotFound
from service.workers.account import Account
from service.workers.common import Common, NotStarted
from service.workers.ends import DELETED, End
from service.workers.fleet import BACKLOG_S, Fleet
from service.workers.flight import Call, Flight
from service.workers.launcher import Package
from service.workers.waiting import Ticket, Waiting
from service.workers.worker import Worker

QUEUE_FULL: Final = "queue full"


class Pool:
    """One workspace's, or one revision's. `key`: what its source of definitions knows it by."""

    def __init__(self, key: str, account: Account, common: Common) -> None:
        self.key = key
        self.account = account
        """What its workspace has in all; the admission counts there."""
        self.workspace = account.workspace
        self.running = 0
        """Its own runs under way, and what is left of those that are being unwound."""
        self._admission = common.admission
        self._launcher = common.launcher
        self._loop = asyncio.get_running_loop()
        self._waiting = Waiting(common.admission, account)
        self._fleet = Fleet(key, account, common, self._waiting, owner=self)
        self._peak = 0
        """Runs at once, waiting ones included, since the last sweep."""
        self._quota = common.admission.quota_of(self.workspace)
        """Runs under way in all pools of the workspace; 0 for as many as there is room for."""

    @property
    def rules(self) -> PoolRules:
        """What holds for the version that runs."""
        return self._fleet.rules

    @property
    def workers(self) -> list[Worker]:
        """Those that take runs."""
        return self._fleet.workers

    @property
    def is_stored(self) -> bool:
        """Whether what it runs was on the volume."""
        return self._fleet.functions is not None

    @property
    def has_spare(self) -> bool:
        """Whether there are more workers than are kept warm."""
        return len(self._fleet.workers) > self._fleet.rules.floor

    @property
    def waiting(self) -> int:
        """Runs that wait."""
        return len(self._waiting)

    @property
    def is_at_quota(self) -> bool:
        """Whether its workspace has as many runs under way as it may have, however much room there is."""
        return 0 < self._quota <= self.account.running

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing that is worth remembering."""
        return not self.is_busy and not self.account.held_bytes and self._fleet.is_empty

    @property
    def waited_s(self) -> float:
        """How long the run has waited that has waited longest."""
        return self._waiting.waited_s()

    @property
    def is_busy(self) -> bool:
        """Whether there is a run in it, under way or waiting."""
        return bool(self.running or self._waiting)

    @property
    def idle_since(self) -> float:
        """Loop time at which its last run ended, if it is not busy; 0 if it has no worker."""
        return max((worker.idle_since for worker in self._fleet.workers), default=0.0)

    def begin(self, call: Call, version: Hashable) -> Flight | None:
        """Begin a run of this version, if nobody is ahead of it and there is a worker with room; None if it must wait.

        Whoever does not wait for its outcome cancels it.
        """
        fleet = self._fleet
        if (
            not self._waiting
            and not (self._quota and self.is_at_quota)
            and (version is fleet.version or version == fleet.version)
            and self._admission.may_begin(self.account)
            and (worker := fleet.with_room()) is not None
        ):
            self._begin()
            return worker.launch(call, self._loop.create_future())
        return None

    def look_up_quota(self) -> None:
        """It may be another one. Runs that are beyond it go on; nothing begins until there are fewer."""
        self._quota = narrowed(self._admission.quota_of(self.workspace), self._fleet.rules.runs)
        self.dispatch()

    async def deploy(self, package: Package, commit: Callable[[bytes], Awaitable[Hashable]]) -> None:
        """See `Fleet.deploy`."""
        await self._fleet.deploy(package, commit)

    def prepare(self, package: Package) -> None:
        """See to it that what is to be kept warm is there before the first run."""
        if self._fleet.version is None:
            self._fleet.become(package)
            self.tend()

    def close(self, why: End = DELETED) -> None:
        """The workspace is gone: so are its workers, when their last run has ended."""
        self._fleet.close(why)

    def find(self, run_id: str) -> Ticket | None:
        """A run that waits."""
        return self._waiting.find(run_id)

    def cancel(self, ticket: Ticket) -> None:
        """Somebody has called it off while it waits."""
        self._waiting.answer(ticket, Cancelled((), 0.0))
        self._leave(ticket)

    def refuse_all(self, why: Callable[[], Exception]) -> None:
        """Nothing that waits will begin."""
        self._waiting.refuse(lambda: NotStarted(why()))

    def tend(self) -> None:
        """See to it that there are as many workers as there should be."""
        self._fleet.tend()

    def sweep(self, *, inactive_s: float) -> None:
        """What is to be done now and then."""
        peak = min(self._peak, self._quota) if self._quota else self._peak
        self._fleet.sweep(peak=peak, inactive_s=inactive_s)
        self._peak = self.running + len(self._waiting)

    def begin_next(self) -> bool:
        """Begin the run that has waited longest, if there is one and a worker with room for it."""
        if not self._waiting or self._fleet.is_stale or self.is_at_quota:
            return False
        worker = self._fleet.with_room()
        if worker is None:
            return False
        ticket = self._waiting.pop()
        ticket.began = self._loop.time()
        ticket.flight = worker.launch(ticket.call, ticket.outcome)
        self._begin()
        if ticket.began - ticket.since >= BACKLOG_S:
            self.tend()
        return True

    def adopted(self, worker: Worker) -> None:
        """Called by the fleet when it has one more."""
        self.dispatch()
        self._launcher.offer_place(worker)

    def renewed(self) -> None:
        """Called by the fleet when its version may be another. Who waits was let in under the one before."""
        functions = self._fleet.functions
        if functions is None:
            self._waiting.refuse(lambda: WorkspaceNotFound(self.workspace), which=lambda call: call.code is None)
        for ticket in self._waiting:
            name = ticket.call.function
            if functions is not None and ticket.call.code is None and name not in functions:
                self._waiting.answer(ticket, FunctionNotFound(self.workspace, name))
        self.look_up_quota()

    def landed(self, worker: Worker) -> None:
        """Called by a worker when nothing is left of one of its runs."""
        self._end()
        if self.account.waiting:
            self.account.take_turns()
        if self._launcher.places.wanted:
            self._launcher.offer_place(worker)

    def heard(self, worker: Worker) -> None:  # noqa: ARG002  # any of them may have room now
        """Called by a worker that is no longer stuck."""
        self.dispatch()

    def gone(self, worker: Worker, lost: int) -> None:
        """Called by a worker whose process has ended."""
        for _ in range(lost):
            self._end()
        self._fleet.lose(worker)
        self.account.take_turns()
        self.tend()

    def holding(self, call: Call) -> AbstractContextManager[bool]:
        """Whether there is room for what comes with a call; see `Admission.holding`."""
        return self._admission.holding(self.account, call.size_bytes)

    def refusal(self) -> Completed:
        """There is no room for one more."""
        return Completed(Rejected(QUEUE_FULL, self._waiting.retry_after_s()), 0.0, None)

    async def run(self, call: Call, version: Hashable) -> Completed:
        """Run a call that cannot begin at once. A caller that is cancelled cancels its run, or leaves the queue.

        Raises: NotStarted, WorkersCrash.
        """
        fleet, waiting = self._fleet, self._waiting
        has_workers = bool(fleet.workers)
        if not has_workers:
            fleet.check_crashes()
        # Who will be in the worker that is being started does not stand in the queue.
        room = fleet.rules.queue + (0 if has_workers else fleet.rules.concurrency)
        if self.account.waiting >= room or not self._admission.may_wait(self.account.waiting):
            return self.refusal()
        if version != fleet.version:
            fleet.is_stale = True
        ticket = waiting.append(call, timeout_ms=fleet.rules.timeout_ms, is_cold=not has_workers)
        self._peak = max(self._peak, self.running + len(waiting))
        self.dispatch()
        self.tend()
        if has_workers and len(waiting) == 1:
            self._loop.call_later(BACKLOG_S, self.tend)
        try:
            return _completed(ticket, await ticket.outcome)
        except asyncio.CancelledError:
            self._leave(ticket)
            raise

    def _leave(self, ticket: Ticket) -> None:
        """Its caller has gone."""
        if ticket.flight is not None:
            ticket.flight.cancel()
            return
        self._waiting.remove(ticket)
        if not self._waiting:
            self._fleet.is_not_needed()

    def _begin(self) -> None:
        self._admission.begin(self.account)
        self.running += 1
        if self.running > self._peak:  # noqa: PLR1730  # max() costs every run twice as much
            self._peak = self.running

    def _end(self) -> None:
        self.running -= 1
        self._admission.end(self.account)

    def dispatch(self) -> None:
        """Begin what can begin."""
        while (
            self._waiting and not self._fleet.is_stale and not self.is_at_quota and self._fleet.with_room() is not None
        ):
            if not self._admission.may_begin(self.account):
                self._admission.line_up(self)
                return
            self.begin_next()


def _completed(ticket: Ticket, outcome: Outcome) -> Completed:
    ended = asyncio.get_running_loop().time() if ticket.began is None else ticket.began
    waited_ms = (ended - ticket.since) * 1000
    is_cold = ticket.is_cold and ticket.began is not None
    return Completed(outcome, 0.0 if is_cold else waited_ms, waited_ms if is_cold else None)
