"""Workers that die of what they run: after some in a row the workspace gets no new ones for a while."""

from collections import deque
from typing import Final

CRASHES_MAX: Final = 5
WINDOW_S: Final = 5.0
"""So many in so short a time are a loop."""
BACK_OFF_S: Final = 1.0
BACK_OFF_MAX_S: Final = 30.0
"""The first pause, and the longest; each is twice the one before."""
FORGET_S: Final = 30.0
"""So long without a crash after a pause, and the next one is the first again."""


class Crashes:
    """The crashes of one workspace's workers. Times are the loop's."""

    def __init__(self) -> None:
        self.reason = ""
        """Of the last one, in words."""
        self.count = 0
        """In a row."""
        self._recent: deque[float] = deque(maxlen=CRASHES_MAX)
        self._pause_s = 0.0
        self._until = 0.0

    def record(self, now: float, reason: str) -> bool:
        """One more. Returns whether a pause begins with it."""
        if self.is_clean(now):
            self.forget()
        self.reason = reason
        self.count += 1
        self._recent.append(now)
        # After a pause a single one is enough: nothing has changed.
        is_loop = len(self._recent) == CRASHES_MAX and now - self._recent[0] <= WINDOW_S
        if not is_loop and not self._pause_s:
            return False
        self._pause_s = min(self._pause_s * 2, BACK_OFF_MAX_S) or BACK_OFF_S
        self._until = now + self._pause_s
        return True

    def forget(self) -> None:
        """There is new code, or it has been well for long."""
        self.count = 0
        self._recent.clear()
        self._pause_s = self._until = 0.0

    def pause_s(self, now: float) -> float:
        """How long no worker is started from now on."""
        return max(0.0, self._until - now)

    def is_clean(self, now: float) -> bool:
        """Whether there is nothing to remember."""
        return not self._recent or now - max(self._recent[-1], self._until) > FORGET_S
