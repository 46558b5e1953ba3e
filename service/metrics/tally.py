"""What is counted, as plain numbers: this is on the path of every run. They become series when somebody asks.

One thread, the event loop's, counts and asks; nothing here is locked.
"""

from bisect import bisect_left
from itertools import accumulate
from typing import Final, Literal, get_args

Ended = Literal[
    "raised", "timed_out", "memory_exceeded", "worker_lost", "parameters_refused", "code_refused",
    "queue_full", "queue_timeout", "cancelled", "unavailable", "quota_spent",
]  # fmt: skip
"""How a run can end that does not return."""
StartKind = Literal["cold", "warm", "compile"]
"""What a worker is started for: a run that waits for it; a deploy, the floor, a backlog; compiling alone."""
EndReason = Literal[
    "evicted", "inactive", "replaced", "shrunk", "deleted", "crashed", "stuck", "malformed", "load_failed",
    "compiled", "shutdown",
]  # fmt: skip
"""Why a worker went."""

RETURNED: Final = "returned"
RUN_BOUNDS_MS: Final = (1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1e3, 2.5e3, 5e3, 10e3, 30e3)
QUEUE_BOUNDS_S: Final = (0.0, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
START_BOUNDS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Histogram:
    """Values by the least bound that is not below them, and their sum."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def cumulated(self) -> list[int]:
        """How many values are at most as large as each bound, and how many there are."""
        return list(accumulate(self.counts))


class Totals:
    """The whole service's numbers; none of the counts ever goes down."""

    __slots__ = (
        "cache_operations", "ended", "ends", "fork_failures", "not_queued", "queued_s", "requests", "returned",
        "run_ms", "start_s", "starts", "zygote_starts",
    )  # fmt: skip

    def __init__(self) -> None:
        self.returned = 0
        self.ended: dict[Ended, int] = dict.fromkeys(get_args(Ended), 0)
        self.run_ms = Histogram(RUN_BOUNDS_MS)
        self.queued_s = Histogram(QUEUE_BOUNDS_S)
        """Of runs that waited."""
        self.not_queued = 0
        self.requests: dict[int, int] = {}
        """By status."""
        self.starts: dict[StartKind, int] = dict.fromkeys(get_args(StartKind), 0)
        self.start_s = Histogram(START_BOUNDS_S)
        self.ends: dict[EndReason, int] = dict.fromkeys(get_args(EndReason), 0)
        self.zygote_starts = self.fork_failures = self.cache_operations = 0


class Tally:
    """The runs of one workspace, counted here and in the service's totals.

    It may be counted on after its workspace was forgotten: the totals still have it.
    """

    __slots__ = ("_run_counts", "_run_ms", "_totals", "rest", "returned_count")

    def __init__(self, totals: Totals) -> None:
        self._totals = totals
        self._run_ms = totals.run_ms
        self._run_counts = totals.run_ms.counts
        self.returned_count = 0
        self.rest: dict[Ended, int] = {}
        """Only what has happened: of eleven outcomes most workspaces know two."""

    def returned(self, duration_ms: float, queued_s: float) -> None:
        """A run returned, after so long in its worker and so long in the queue. Paid by every run."""
        self.returned_count += 1
        totals = self._totals
        totals.returned += 1
        self._run_ms.sum += duration_ms
        self._run_counts[bisect_left(RUN_BOUNDS_MS, duration_ms)] += 1
        if queued_s > 0:
            totals.queued_s.add(queued_s)
        else:
            totals.not_queued += 1

    def ended(self, outcome: Ended, *, duration_ms: float | None, queued_s: float | None) -> None:
        """A run ended in any other way; None for what cannot be told, as for one that never came to a worker."""
        totals = self._totals
        totals.ended[outcome] += 1
        self.rest[outcome] = self.rest.get(outcome, 0) + 1
        if duration_ms is not None:
            totals.run_ms.add(duration_ms)
        if queued_s is not None:
            if queued_s > 0:
                totals.queued_s.add(queued_s)
            else:
                totals.not_queued += 1
