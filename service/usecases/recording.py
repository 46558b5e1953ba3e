"""From how a run ended to what is kept of it."""

from collections.abc import Callable, Mapping
from typing import Final, assert_never

from service.database.run_groups import Row
from service.domain.outcome import (
    Cancelled,
    CodeRefused,
    Logs,
    MemoryExceeded,
    Outcome,
    ParametersRefused,
    Raised,
    Rejected,
    Returned,
    TimedOut,
    WorkerLost,
)
from service.domain.record import STATUSES, Status

_CODES: Final[Mapping[Status, int]] = {status: code for code, status in enumerate(STATUSES)}
SUCCEEDED: Final = _CODES["succeeded"]


class Encoder:
    """Knows what is too large to be kept."""

    def __init__(self, envelope: Callable[[Outcome], bytes], *, result_max_bytes: int, logs_max_bytes: int) -> None:
        self._envelope = envelope
        self._result_max_bytes = result_max_bytes
        self._logs_max_bytes = logs_max_bytes

    def row(  # noqa: PLR0913, PLR0917  # as it is recorded
        self, run_id: str, workspace: str, function: str, outcome: Outcome | None, waited_ms: float,
        revision: int | None, key: str, duration_ms: float | None, ended_ms: float,
    ) -> Row:  # fmt: skip
        """As the database has it."""
        answer: bytes | None = None
        logs: Logs = ()
        is_truncated = False
        if outcome is not None:
            logs = getattr(outcome, "logs", ())
            duration_ms = getattr(outcome, "duration_ms", duration_ms)
            whole = outcome.result_json if isinstance(outcome, Returned) else self._envelope(outcome)
            answer = self.kept_result(whole)
            is_truncated = answer is None
        kept_logs = self.kept_logs(logs)
        return (
            run_id, workspace, function, _CODES[status_of(outcome)], revision, key,
            int(ended_ms - (duration_ms or 0.0) - waited_ms), int(ended_ms), duration_ms,
            is_truncated or kept_logs is not logs, answer, b"[%b]" % b",".join(kept_logs) if kept_logs else None,
        )  # fmt: skip

    def kept_result(self, result_json: bytes) -> bytes | None:
        """None if it is too large."""
        return result_json if len(result_json) <= self._result_max_bytes else None

    def kept_logs(self, logs: Logs) -> Logs:
        """The first entries, as many as have room."""
        left = self._logs_max_bytes
        for place, entry in enumerate(logs):
            left -= len(entry) + 1
            if left < 0:
                return logs[:place]
        return logs


def status_of(outcome: Outcome | None) -> Status:
    """What a list calls it; None is for runs that were cancelled."""
    match outcome:
        case Returned():
            return "succeeded"
        case Raised() | MemoryExceeded() | CodeRefused() | ParametersRefused() | Rejected():
            return "failed"
        case TimedOut():
            return "timed_out"
        case WorkerLost():
            return "lost"
        case Cancelled() | None:
            return "cancelled"
        case _ as unreachable:
            assert_never(unreachable)
