"""One timer for many things that are due, only ever moved to an earlier time: what ends in time costs none."""

import asyncio
from collections.abc import Callable
from typing import Final

NEVER: Final = float("inf")


class Alarm:
    """Calls `ring` when the first is due, and then at what that returns: when the next will be, `NEVER` for none."""

    __slots__ = ("_loop", "_ring", "_timer", "at")

    def __init__(self, ring: Callable[[], float]) -> None:
        self.at = NEVER
        """Loop time at which it rings."""
        self._ring: Callable[[], float] | None = ring
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def set(self, at: float) -> None:
        """Ring at this loop time, or before."""
        if at < self.at:
            if self._timer is not None:
                self._timer.cancel()
            self.at = at
            self._timer = self._loop.call_at(at, self._rings)

    def cancel(self) -> None:
        """Ring no more for what there is."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self.at = None, NEVER

    def release(self) -> None:
        """Hold on to nothing."""
        self.cancel()
        self._ring = None

    def _rings(self) -> None:
        self._timer, self.at = None, NEVER
        if self._ring is not None:
            self.set(self._ring())
