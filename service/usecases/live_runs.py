"""The runs that wait or are under way in this service, by id: what they have said, and the way to call them off.

Nothing is kept for it: who asks looks through what the pools have. An ordinary run pays nothing for being found.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

from service.domain.outcome import Cancelled, Outcome
from service.domain.times import now_ms
from service.workers.flight import Flight
from service.workers.pool import Pool
from service.workers.pools import Pools
from service.workers.waiting import Ticket


class LiveRun:
    """One run that has no outcome yet, as it was when it was found."""

    def __init__(self, found: Flight | tuple[Pool, Ticket]) -> None:
        self._found = found

    @property
    def status(self) -> Literal["queued", "running"]:
        """Whether it is in a worker."""
        return "running" if self._flight is not None else "queued"

    @property
    def function(self) -> str:
        """Empty for a body that is run once."""
        return self._found.function if isinstance(self._found, Flight) else self._found[1].call.function

    @property
    def started_ms(self) -> int | None:
        """When it was sent to its worker."""
        flight = self._flight
        return None if flight is None else _wall_ms(flight.started)

    @property
    def queued_ms(self) -> int:
        """When it came; of one that is in its worker, as far as is known."""
        found = self._found
        return _wall_ms(found.started if isinstance(found, Flight) else found[1].since)

    @property
    def logs(self) -> Sequence[bytes]:
        """Entries so far, each a JSON object. It grows while the run goes on."""
        flight = self._flight
        return () if flight is None else flight.entries

    @property
    def outcome(self) -> "asyncio.Future[Outcome]":
        """Whoever waits for this shields it."""
        return self._found.outcome if isinstance(self._found, Flight) else self._found[1].outcome

    def cancel(self) -> bool:
        """Call it off: its caller hears that it was cancelled. False if it has an outcome already."""
        if self.outcome.done():
            return False
        flight = self._flight
        if flight is not None:
            elapsed_ms = (asyncio.get_running_loop().time() - flight.started) * 1000
            flight.answer(Cancelled(flight.logs(), round(elapsed_ms, 3)))
            flight.cancel()
        elif not isinstance(self._found, Flight):
            pool, ticket = self._found
            pool.cancel(ticket)
        return True

    @contextmanager
    def listening(self, heard: Callable[[], None]) -> Iterator[None]:
        """Call this when it has said something, or has an outcome."""

        def ended(_outcome: "asyncio.Future[Outcome]") -> None:
            heard()

        flight = self._flight
        self.outcome.add_done_callback(ended)
        if flight is not None:
            flight.listeners += (heard,)
        try:
            yield
        finally:
            self.outcome.remove_done_callback(ended)
            if flight is not None:
                flight.listeners = tuple(listener for listener in flight.listeners if listener is not heard)

    @property
    def _flight(self) -> Flight | None:
        return self._found if isinstance(self._found, Flight) else self._found[1].flight


class LiveRuns:
    """All of this service."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools

    def find(self, workspace: str, run_id: str) -> LiveRun | None:
        """A run of this workspace; None if there is none here, or it has its outcome."""
        found = self._pools.find(workspace, run_id)
        return None if found is None else LiveRun(found)


def _wall_ms(loop_s: float) -> int:
    return now_ms() - round((asyncio.get_running_loop().time() - loop_s) * 1000)
