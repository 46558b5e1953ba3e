"""How an accepted run ended, as it is recorded and told."""

from collections.abc import Callable
from typing import Final

import msgspec

from service.domain.jobs import Job
from service.domain.outcome import Cancelled, Logs, Outcome, Returned, WorkerLost
from service.domain.record import Status
from service.domain.times import now_ms
from service.errors import SkepError
from service.usecases.recording import status_of

Explain = Callable[[SkepError | Outcome], bytes]
"""A failure as the API tells it: JSON of `{"error", "message", "details"?}`."""

FAILED: Final = WorkerLost("an error of the service", ())
RESTARTED: Final = WorkerLost("the service ended while the run was under way", ())


class Ending(msgspec.Struct, frozen=True):
    """An accepted run that is over."""

    job: Job
    status: Status
    finished_ms: int
    duration_ms: float | None
    result_json: bytes | None
    error_json: bytes | None
    logs: Logs
    revision: int | None = None


def ending_of(job: Job, ended: Outcome | SkepError, explain: Explain) -> Ending:
    """What there is to tell of a run that has ended, or that could not begin."""
    status: Status = "failed" if isinstance(ended, SkepError) else status_of(ended)
    return Ending(
        job=job,
        status=status,
        finished_ms=now_ms(),
        duration_ms=getattr(ended, "duration_ms", None),
        result_json=ended.result_json if isinstance(ended, Returned) else None,
        error_json=None if isinstance(ended, Returned | Cancelled) else explain(ended),
        logs=getattr(ended, "logs", ()),
        revision=job.ran_revision,
    )
