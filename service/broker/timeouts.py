"""Timeouts of many tasks with one timer.

`asyncio.timeout` costs 8 µs, most of it for a timer that nearly never rings. Here the timer is moved only to an earlier
time, and looks for what is due when it rings.
"""

import asyncio
from types import TracebackType
from typing import Final, Self

_NEVER: Final = float("inf")


class Timeouts:
    """Watches tasks; `within` is used as `asyncio.timeout` is."""

    def __init__(self) -> None:
        self._watched: set[Within] = set()
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = _NEVER

    def within(self, delay_s: float) -> "Within":
        """A block that is cancelled after so long, and then raises TimeoutError."""
        return Within(self, delay_s)

    def watch(self, block: "Within") -> None:
        """Have the alarm ring for a block."""
        self._watched.add(block)
        if block.due < self._alarm_at:
            self._set_alarm(block.due)

    def forget(self, block: "Within") -> None:
        """A block is over. The alarm may still ring; it will find nothing to do."""
        self._watched.discard(block)

    def close(self) -> None:
        """Nothing is watched any more."""
        if self._alarm is not None:
            self._alarm.cancel()

    def _set_alarm(self, at: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = at
        self._alarm = asyncio.get_running_loop().call_at(at, self._ring)

    def _ring(self) -> None:
        self._alarm, self._alarm_at = None, _NEVER
        now = asyncio.get_running_loop().time()
        for block in sorted((block for block in self._watched if block.due <= now), key=_due):
            self._watched.discard(block)
            block.expire()
        if self._watched:
            self._set_alarm(min(block.due for block in self._watched))


def _due(block: "Within") -> float:
    return block.due


class Within:
    """One block of one task."""

    __slots__ = ("_delay_s", "_is_due", "_task", "_timeouts", "due")

    def __init__(self, timeouts: Timeouts, delay_s: float) -> None:
        self._timeouts = timeouts
        self._delay_s = delay_s
        self._task: asyncio.Task[object] | None = None
        self._is_due = False
        self.due = _NEVER

    def expire(self) -> None:
        """The time is over."""
        if self._task is not None:
            self._is_due = True
            self._task.cancel()

    async def __aenter__(self) -> Self:
        self._task = asyncio.current_task()
        self.due = asyncio.get_running_loop().time() + self._delay_s
        self._timeouts.watch(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self._timeouts.forget(self)
        if self._is_due and self._task is not None:
            # Somebody else may have cancelled it as well; then that is what it is.
            others = self._task.uncancel()
            if others == 0 and kind is not None and issubclass(kind, asyncio.CancelledError):
                raise TimeoutError from error
