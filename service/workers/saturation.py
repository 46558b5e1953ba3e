"""Whether the workers of one workspace have as much to compute as they can: then another one is faster for all."""

from collections.abc import Callable, Sequence
from typing import Final

from service.workers.sampling import Sampled, Usage, read_usage

INTERVAL_S: Final = 0.5
"""Processor time is counted in hundredths of a second: over less than this it says little."""
FULL: Final = 0.8
"""Of one processor, for each worker: there should be more of them."""
SLACK: Final = 0.6
"""The same: fewer would do if they had no more than this. Far enough from `FULL` that it does not go to and fro."""


class Saturation:
    """Processor time that workers took since the last look. Times are the loop's. `read` is for tests."""

    def __init__(self, read: Callable[[int], Usage | None] = read_usage) -> None:
        self._read = read
        self.needed = 1
        """Workers that what was computed takes."""
        self.is_full = False
        self._looked_at = 0.0
        self._last_s: dict[Sampled, float] = {}

    def look(self, now: float, workers: Sequence[Sampled]) -> None:
        """Costs 25 µs a worker."""
        elapsed_s = now - self._looked_at
        if elapsed_s < INTERVAL_S:
            return
        usages = {worker: usage.cpu_seconds for worker in workers if (usage := self._read(worker.pid)) is not None}
        known = self._last_s.keys() & usages.keys()
        if known and len(known) == len(workers):
            share = sum(usages[worker] - self._last_s[worker] for worker in known) / elapsed_s
            self.is_full = share >= FULL * len(workers)
            self.needed = next((fewer for fewer in range(1, len(workers)) if share <= SLACK * fewer), len(workers))
        else:
            self.forget()
        self._last_s, self._looked_at = usages, now

    def forget(self) -> None:
        """Nothing is known of the workers there are now."""
        self.is_full = False
        self.needed = 1
