"""How many follow the logs of runs."""

import asyncio
from typing import Final
from weakref import WeakSet

from service.errors import TooMany

AT_ONCE: Final = 16


class Followers:
    """Those that do. One that was never served, since its caller had gone, is forgotten when nobody holds it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._streams: WeakSet[object] = WeakSet()
        self.turn = asyncio.Semaphore(AT_ONCE)
        """Held by who is about to send: all readers of a run hear of an entry at the same time, and nobody else would
        be served until the last of them had it.
        """

    def come(self, stream: object) -> None:
        """One more. Raises: TooMany."""
        if len(self._streams) >= self._most:
            raise TooMany(f"There are {self._most} readers who follow the logs of runs; no more may.")
        self._streams.add(stream)

    def go(self, stream: object) -> None:
        """One less."""
        self._streams.discard(stream)
