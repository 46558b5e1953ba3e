"""By which name each outcome is counted."""

from collections.abc import Mapping
from typing import Final

from service.domain import outcome as outcomes
from service.metrics.tally import Ended, Tally

NAMES: Final[Mapping[type, Ended]] = {
    outcomes.Raised: "raised",
    outcomes.TimedOut: "timed_out",
    outcomes.MemoryExceeded: "memory_exceeded",
    outcomes.Cancelled: "cancelled",
    outcomes.WorkerLost: "worker_lost",
    outcomes.ParametersRefused: "parameters_refused",
    outcomes.CodeRefused: "code_refused",
    outcomes.Rejected: "queue_timeout",
}
"""Of all but the usual one."""


def count(tally: Tally, completed: outcomes.Completed) -> None:
    """Count one run that has an outcome. Paid by every run."""
    outcome = completed.outcome
    waited_ms = completed.queue_ms if completed.cold_ms is None else completed.cold_ms
    if type(outcome) is outcomes.Returned:
        tally.returned(outcome.duration_ms, waited_ms / 1000)
    elif type(outcome) is outcomes.Rejected and outcome.reason == "queue full":
        tally.ended("queue_full", duration_ms=None, queued_s=None)
    else:
        tally.ended(NAMES[type(outcome)], duration_ms=getattr(outcome, "duration_ms", None), queued_s=waited_ms / 1000)
