"""From how a run ended to what is kept of it."""

from collections.abc import Callable, Mapping
from typing import Final, assert_never

import msgspec

from service.database.runs import Row, record_of
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
from service.domain.record import STATUSES, Record, Status

Entry = tuple[str, str, Outcome | None, float, int | None, str, float, float | None, bool, int]
"""Workspace, function, outcome, ms waited, revision, key, time of the end in s, ms it took if the outcome does not say,
whether it was shortened, bytes. A plain tuple: one is made for each run.
"""
_CODES: Final[Mapping[Status, int]] = {status: code for code, status in enumerate(STATUSES)}
_SUCCEEDED: Final = _CODES["succeeded"]


class Encoder:
    """Knows what is too large to be kept."""

    def __init__(self, envelope: Callable[[Outcome], bytes], *, result_max_bytes: int, logs_max_bytes: int) -> None:
        self._envelope = envelope
        self._result_max_bytes = result_max_bytes
        self._logs_max_bytes = logs_max_bytes

    def rows(self, entries: Mapping[str, Entry]) -> list[Row]:
        """As the database has them."""
        rows: list[Row] = []
        result_max_bytes = self._result_max_bytes
        for run_id, entry in entries.items():
            workspace, function, outcome, waited_ms, revision, key, ended_s, _duration_ms, is_truncated, size = entry
            if type(outcome) is Returned and not outcome.logs and not is_truncated and size <= result_max_bytes:
                # As nearly all are, and the interpreter is not free for runs meanwhile.
                answer, duration_ms, ended_ms = outcome.result_json, outcome.duration_ms, ended_s * 1000
                rows.append((
                    bytes.fromhex(run_id), workspace, function, _SUCCEEDED, revision, key,
                    int(ended_ms - duration_ms - waited_ms), int(ended_ms), duration_ms, False, answer, None,
                ))  # fmt: skip
            else:
                rows.append(self._row(run_id, entry))
        return rows

    def record(self, run_id: str, entry: Entry) -> Record:
        """As if it had been read from the database."""
        return record_of(self._row(run_id, entry))

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

    def _row(self, run_id: str, entry: Entry) -> Row:
        workspace, function, outcome, waited_ms, revision, key, ended_s, duration_ms, is_truncated, _size = entry
        answer: bytes | None = None
        logs: Logs = ()
        if outcome is not None:
            logs = getattr(outcome, "logs", ())
            duration_ms = getattr(outcome, "duration_ms", duration_ms)
            whole = outcome.result_json if isinstance(outcome, Returned) else self._envelope(outcome)
            answer = self.kept_result(whole) or None
            is_truncated = is_truncated or answer is None
        kept_logs = self.kept_logs(logs)
        ended_ms = ended_s * 1000
        return (
            bytes.fromhex(run_id), workspace, function, _CODES[status_of(outcome)], revision, key,
            int(ended_ms - (duration_ms or 0.0) - waited_ms), int(ended_ms), duration_ms,
            is_truncated or kept_logs is not logs, answer, b"[%b]" % b",".join(kept_logs) if kept_logs else None,
        )  # fmt: skip


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


def size_of(outcome: Outcome | None) -> int:
    """Bytes that are held for as long as it is not written."""
    size = 0
    match outcome:
        case Returned():
            size = len(outcome.result_json)
        case Raised():
            size = len(outcome.message) + len(outcome.traceback)
    return size + sum(map(len, () if outcome is None else getattr(outcome, "logs", ())))


def shortened(outcome: Outcome | None, encoder: Encoder) -> tuple[Outcome | None, int]:
    """What would not be kept is not held either."""
    match outcome:
        case Returned():
            result = encoder.kept_result(outcome.result_json) or b""
            outcome = Returned(result, encoder.kept_logs(outcome.logs), outcome.duration_ms)
        case Raised() | TimedOut() | MemoryExceeded() | Cancelled() | WorkerLost():
            outcome = msgspec.structs.replace(outcome, logs=encoder.kept_logs(outcome.logs))
    return outcome, size_of(outcome)
