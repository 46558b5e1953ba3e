"""The runs of one workspace that wait for a worker: first come, first served, and nobody longer than is allowed."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator
from math import ceil
from typing import Final

from service.domain.outcome import Outcome, Rejected
from service.workers.account import Account
from service.workers.admission import Admission
from service.workers.alarm import NEVER, Alarm
from service.workers.flight import Call, Flight
from service.workers.turns import Turns

_RETRY_AFTER_MAX_S: Final = 60


class Ticket:
    """One run that waits, until it is in a worker."""

    __slots__ = ("began", "call", "flight", "is_cold", "number", "outcome", "since", "until")

    def __init__(  # noqa: PLR0913  # which, what, and when
        self, number: int, call: Call, outcome: "asyncio.Future[Outcome]", *, since: float, until: float, is_cold: bool
    ) -> None:
        self.number = number
        self.call = call
        self.outcome = outcome
        self.since = since
        """Loop time, as `until` and `began`."""
        self.until = until
        self.is_cold = is_cold
        """There was no worker when it came: it waits for one to start."""
        self.began: float | None = None
        self.flight: Flight | None = None


class Waiting:
    """The queue. A run whose time has run out is answered here; every other leaves by `pop` or `remove`."""

    def __init__(self, admission: Admission, account: Account) -> None:
        self._admission = admission
        self._account = account
        self._turns = Turns()
        self._loop = asyncio.get_running_loop()
        self._tickets: OrderedDict[int, Ticket] = OrderedDict()
        self._number = 0
        self._alarm = Alarm(self._ring)

    def __len__(self) -> int:
        return len(self._tickets)

    def __iter__(self) -> Iterator[Ticket]:
        return iter(tuple(self._tickets.values()))

    def find(self, run_id: str) -> Ticket | None:
        """The ticket of a run."""
        for ticket in self._tickets.values():
            if ticket.call.run_id == run_id:
                return ticket
        return None

    def waited_s(self) -> float:
        """How long the first in the queue has waited; 0 for none."""
        for ticket in self._tickets.values():
            return self._loop.time() - ticket.since
        return 0.0

    def retry_after_s(self) -> int:
        """When another try may do better: after as long as the first in the queue has waited."""
        return min(max(1, ceil(self.waited_s())), _RETRY_AFTER_MAX_S)

    def append(self, call: Call, *, timeout_ms: int, is_cold: bool) -> Ticket:
        """Wait at the end."""
        self._number += 1
        now = self._loop.time()
        until = now + timeout_ms / 1000
        ticket = Ticket(self._number, call, self._loop.create_future(), since=now, until=until, is_cold=is_cold)
        self._tickets[ticket.number] = ticket
        self._admission.waiting += 1
        self._account.waiting += 1
        self._alarm.set(until)
        return ticket

    def pop(self) -> Ticket:
        """The one that has waited longest. Raises: KeyError if there is none."""
        _, ticket = self._tickets.popitem(last=False)
        self._left()
        return ticket

    def remove(self, ticket: Ticket) -> None:
        """Its caller has gone, or it was answered; it may have left already."""
        if self._tickets.pop(ticket.number, None) is not None:
            self._left()

    def refuse(self, why: Callable[[], Exception], *, which: Callable[[Call], bool] = lambda _call: True) -> None:
        """Answer those that cannot be run, each with an exception of its own."""
        for ticket in self:
            if which(ticket.call):
                self.answer(ticket, why())

    def answer(self, ticket: Ticket, answer: Outcome | Exception) -> None:
        """It will not begin."""
        self.remove(ticket)
        self._turns.give(ticket.outcome, answer)

    def _left(self) -> None:
        self._admission.waiting -= 1
        self._account.waiting -= 1
        if not self._tickets:
            self._alarm.cancel()

    def _ring(self) -> float:
        now = self._loop.time()
        outcome = Rejected("waited too long", self.retry_after_s())
        for ticket in self:
            if ticket.until <= now:
                self.answer(ticket, outcome)
        return min((ticket.until for ticket in self._tickets.values()), default=NEVER)
