"""The fetches of this worker: sent to the service, waited for, called off when nobody waits any more.

The service ends a worker that asks for more than a run may have, so what goes beyond is held back here: a fetch that
finds every place taken waits in order, one beyond the run's whole number raises.
"""

import asyncio
from collections import deque
from typing import Final

from sandbox.outbox import Outbox
from sandbox.protocol import CancelFetch, Fetch, Fetched, FetchFailed, FetchLimits


class RunFetches:
    """What one run has asked for."""

    __slots__ = ("count", "taken", "under_way", "waiting")

    def __init__(self) -> None:
        self.count = 0
        self.taken = 0
        """Places; one may be on its way to who waited for it."""
        self.under_way: set[int] = set()
        self.waiting: deque[asyncio.Future[None]] = deque()


class Fetches:
    """Every fetch that has no answer yet, by number."""

    def __init__(self, outbox: Outbox, loop: asyncio.AbstractEventLoop) -> None:
        self.limits = FetchLimits()
        self._outbox: Final = outbox
        self._loop: Final = loop
        self._number = 0
        self._pending: dict[int, asyncio.Future[Fetched | FetchFailed]] = {}
        self._is_flush_due = False

    async def exchange(  # noqa: PLR0913  # the parts of a request
        self, run: int, of: RunFetches, *, method: str, url: str, headers: list[tuple[str, str]], body: bytes,
        timeout_ms: int,
    ) -> Fetched | FetchFailed:  # fmt: skip
        """Send one fetch and wait for what becomes of it. Whoever stops waiting has called it off."""
        await self._take_place(of)
        self._number = number = self._number + 1
        answer: asyncio.Future[Fetched | FetchFailed] = self._loop.create_future()
        self._pending[number] = answer
        of.under_way.add(number)
        try:
            self._outbox.put(Fetch(run, number, method, url, headers, body, timeout_ms))
            self._flush_soon()
            return await answer
        finally:
            # Not here and now: this may be the collector closing what was dropped, in the middle of anything.
            if number in self._pending:
                self._loop.call_soon(self._call_off, of, number)
            else:
                of.under_way.discard(number)
                _give_place(of)

    def answer(self, message: Fetched | FetchFailed) -> None:
        """The service has answered; nobody may be waiting."""
        waiting = self._pending.pop(message.fetch, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(message)

    def forget(self, of: RunFetches) -> None:
        """Nothing is left of a run. The service hears of that by itself."""
        for number in of.under_way:
            self._pending.pop(number, None)
        of.under_way.clear()

    def _call_off(self, of: RunFetches, number: int) -> None:
        if self._pending.pop(number, None) is not None:
            self._outbox.put(CancelFetch(number))
            self._flush_soon()
        of.under_way.discard(number)
        _give_place(of)

    async def _take_place(self, of: RunFetches) -> None:
        if of.taken < self.limits.at_once:
            of.taken += 1
            return
        place = self._loop.create_future()
        of.waiting.append(place)
        try:
            await place
        except BaseException:
            if place.done() and not place.cancelled():
                _give_place(of)
            raise

    def _flush_soon(self) -> None:
        """What a run asks for in one turn of the loop leaves together."""
        if not self._is_flush_due:
            self._is_flush_due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flush_due = False
        self._outbox.flush()


def _give_place(of: RunFetches) -> None:
    """Handed over, not given up: whoever comes in between must not take it as well."""
    while of.waiting:
        place = of.waiting.popleft()
        if not place.done():
            place.set_result(None)
            return
    of.taken -= 1
