"""The runs of one worker, from the moment they are sent until nothing of them is left, and the deadlines they have.

deadline                     the worker says `Expired`: the caller is answered, with all its logs
+ ANSWER_MARGIN_S            it said nothing: the caller is answered all the same; the worker counts as stuck
+ STUCK_GRACE_S              still nothing: code outside the interpreter holds it, and it is killed
`Expired` + UNWIND_GRACE_S   it answered, but what was left of the run would not go: it is killed

A grace is time in which the worker could have run: what it has waited for a processor, on a machine that is busy with
others, is added to it, for up to OVERDUE_MAX_S. Or ordinary runs would be lost beside one that would have ended.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from sandbox import protocol
from service.domain.outcome import Outcome, TimedOut, WorkerLost
from service.workers.alarm import NEVER, Alarm
from service.workers.ends import OVERDUE, End
from service.workers.flight import Call, Flight
from service.workers.masks import Masks
from service.workers.turns import Turns

ANSWER_MARGIN_S: Final = 0.06
STUCK_GRACE_S: Final = 0.2
OVERDUE_MAX_S: Final = 5.0
STARVED_S: Final = 0.02
"""Less is no reason to wait longer."""
UNWIND_GRACE_S: Final = 1.0
LOG_SLACK_BYTES: Final = 4096
"""A run's logs may pass their limit by the entry that says how many were dropped."""


class Flights:
    """Every flight of one worker, by number.

    `cancel` tells the worker that nobody waits for one any more. `kill` is called with the reason when one cannot be
    ended otherwise, but not while `is_unheard` says that it is the service that leaves unread what the worker has to
    say since then; `read_max_bytes` says how much of what was written to the worker it can have read, `waited_s` how
    long it has waited for a processor in its life.
    """

    def __init__(  # noqa: PLR0913  # limits, two ways out, three questions
        self,
        *,
        logs_max_bytes: int,
        cancel: Callable[[Flight], None],
        kill: Callable[[End], None],
        read_max_bytes: Callable[[], int],
        is_unheard: Callable[[float], bool],
        waited_s: Callable[[], float],
        masks: Masks,
    ) -> None:
        self.is_stuck = False
        """No sign of life at a deadline: code outside the interpreter holds the worker."""
        self._logs_max_bytes = logs_max_bytes
        self._cancel = cancel
        self._kill = kill
        self._read_max_bytes = read_max_bytes
        self._is_unheard = is_unheard
        self._waited_s = waited_s
        self._masks = masks
        self._loop = asyncio.get_running_loop()
        self._flights: dict[int, Flight] = {}
        self._number = 0
        self._afterwards = 0
        self._alarm = Alarm(self._ring)

    def __len__(self) -> int:
        return len(self._flights)

    def __contains__(self, number: int) -> bool:
        return number in self._flights

    def oldest_at(self) -> float:
        """Loop time at which the first of them was launched; now if there is none."""
        for flight in self._flights.values():
            return flight.started
        return self._loop.time()

    def launch(self, call: Call, outcome: "asyncio.Future[Outcome]") -> Flight:
        """A flight for a call that is about to be sent."""
        self._number = number = self._number + 1
        now = self._loop.time()
        due = now + call.timeout_ms / 1000 + ANSWER_MARGIN_S
        flight = Flight(outcome, number=number, call=call, started=now, due=due, cancel=self._cancel)
        self._flights[number] = flight
        if due < self._alarm.at:
            self._alarm.set(due)
        return flight

    def land(self, number: int) -> Flight | None:
        """Nothing is left of a run; None if that was known. Raises: ProtocolError, see `_find`."""
        flight = self._find(number)
        if flight is not None:
            del self._flights[number]
            self.is_stuck = False
        return flight

    def waiting(self, number: int) -> Flight | None:
        """The flight of a run whose caller still waits; None once it is over. Raises: ProtocolError as `land`."""
        flight = self._flights.get(number)
        if flight is None and not 0 < number <= self._number:
            raise protocol.ProtocolError("a request of a run that does not exist")
        return None if flight is None or flight.outcome.done() else flight

    def keep_logs(self, number: int, entries: list[bytes]) -> int:
        """Add to what a run has said, secrets masked: from here on nobody sees them. Returns what that cost, in bytes
        of entries. Raises: ProtocolError for what is no entry, or too much of it; see `_find`.
        """
        flight = self._find(number)
        if flight is None:
            return 0
        if not entries:
            # It would count against no limit.
            raise protocol.ProtocolError("log entries that are none")
        for entry in entries:
            protocol.check_log_entry(entry)
            flight.entries_bytes += len(entry)
        if flight.entries_bytes > self._logs_max_bytes + LOG_SLACK_BYTES:
            raise protocol.ProtocolError("more log entries than a run may have")
        masked, cost_bytes = self._masks.entries(entries)
        flight.entries += masked
        for listener in flight.listeners:
            listener()
        return cost_bytes

    def expire(self, number: int, duration_us: int) -> None:
        """The worker says that a run's deadline has passed and that it is unwinding it. Raises: see `_find`."""
        flight = self._find(number)
        # Once: or it could put off its end for ever.
        if flight is None or flight.unwinds:
            return
        flight.unwinds = True
        flight.answer(TimedOut(flight.timeout_ms, flight.logs(), flight.duration_ms(duration_us)))
        self.is_stuck = False
        self._allow(flight, UNWIND_GRACE_S)

    def end(self, number: int) -> bool:
        """The worker says that nothing is left of a run that it unwound; returns whether that is news.

        Raises: as `land`.
        """
        flight = self.land(number)
        if flight is None:
            return False
        # It should have said `Expired` before; that it did not is no reason to leave the caller without an answer.
        elapsed_ms = (self._loop.time() - flight.started) * 1000
        flight.answer(TimedOut(flight.timeout_ms, flight.logs(), round(elapsed_ms, 3)))
        return True

    def find(self, run_id: str) -> Flight | None:
        """The flight of a run that has no outcome yet."""
        for flight in self._flights.values():
            if flight.run_id == run_id and not flight.outcome.done():
                return flight
        return None

    def lose(self, reason: str) -> int:
        """The worker is gone: tell whoever still waits. Returns how many runs were in it."""
        self._alarm.cancel()
        turns = Turns()
        for flight in self._flights.values():
            turns.give(flight.outcome, WorkerLost(reason, flight.logs()))
        lost = len(self._flights)
        self._flights.clear()
        return lost

    def release(self) -> None:
        """Hold on to nothing: the worker is gone."""
        self._alarm.release()
        self._cancel = self._kill = _nothing
        self._read_max_bytes, self._is_unheard, self._waited_s = int, bool, float

    def _find(self, number: int) -> Flight | None:
        """The flight that a message is about; None if it has landed.

        Raises: ProtocolError for a run that never was, for one that the worker has not been told of, and for more
        messages about landed ones than there were runs: an honest worker sends one at the most, `Ended`.
        """
        flight = self._flights.get(number)
        if flight is None:
            self._afterwards += 1
            if not 0 < number <= self._number or self._afterwards > self._number:
                raise protocol.ProtocolError("an answer for a run that does not exist")
        elif flight.told > self._read_max_bytes():
            # What it leaves unread would pile up here, and no deadline would end that.
            raise protocol.ProtocolError("an answer for a run that it cannot have heard of")
        return flight

    def _allow(self, flight: Flight, grace_s: float) -> None:
        flight.is_overdue = True
        flight.overdue_since = self._loop.time()
        flight.waited_s = self._waited_s()
        flight.due = flight.overdue_since + grace_s
        self._alarm.set(flight.due)

    def _ring(self) -> float:
        now = self._loop.time()
        for flight in self._flights.values():
            if flight.due > now:
                continue
            if flight.is_overdue:
                if self._is_unheard(flight.overdue_since):
                    flight.due = now + STUCK_GRACE_S
                    continue
                waited_s = self._waited_s()
                starved_s, flight.waited_s = waited_s - flight.waited_s, waited_s
                if starved_s > STARVED_S and now < flight.overdue_since + OVERDUE_MAX_S:
                    flight.due = now + starved_s
                    continue
                self._kill(OVERDUE)
                return NEVER
            flight.answer(TimedOut(flight.timeout_ms, flight.logs(), round((now - flight.started) * 1000, 3)))
            self.is_stuck = True
            self._allow(flight, STUCK_GRACE_S)
        return min((flight.due for flight in self._flights.values()), default=NEVER)


def _nothing(_of: object) -> None:
    """Nobody is left to be told."""
