"""Places for workers: so many processes may exist, and who finds none free waits in order."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from service.errors import Draining


class NoPlace(Exception):
    """Nobody gave up a place in time."""


class Places:
    """A count of processes that may exist, handed out first come, first served.

    `make_room` is called when somebody begins to wait for one.
    """

    def __init__(self, total: int, *, make_room: Callable[[], None]) -> None:
        self._free = total
        self._make_room = make_room
        self._waiting: OrderedDict[asyncio.Future[None], None] = OrderedDict()
        """In order. Who has gone is taken out: some wait for a millisecond, and come again."""
        self._closed = False

    @property
    def wanted(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def try_take(self) -> bool:
        """Take a place if one is free and nobody is ahead. Raises: Draining once closed."""
        if self._closed:
            raise _down()
        if self._free > 0 and not self.wanted:
            self._free -= 1
            return True
        return False

    async def take(self, *, until: float) -> None:
        """Wait for a place, at most until this loop time. Raises: NoPlace; Draining once closed."""
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[waiting] = None
        self._make_room()
        try:
            async with asyncio.timeout_at(until):
                await waiting
        except BaseException as error:
            self._waiting.pop(waiting, None)
            # A place may have been handed over in the very moment the wait was given up.
            if waiting.done() and not waiting.cancelled() and waiting.exception() is None:
                self.give_back()
            if isinstance(error, TimeoutError):
                raise NoPlace from None
            raise

    def give_back(self) -> None:
        """A process is gone: its place goes to whoever waits longest."""
        while self._waiting:
            waiting, _ = self._waiting.popitem(last=False)
            if not waiting.done():
                waiting.set_result(None)
                return
        self._free += 1

    def close(self) -> None:
        """Hand out no more places; whoever waits is told."""
        self._closed = True
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_exception(_down())
        self._waiting.clear()


def _down() -> Draining:
    return Draining("The service is going down.")
