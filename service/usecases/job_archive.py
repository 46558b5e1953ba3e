"""The ends of accepted runs, written into the history in the transaction in which they leave the table of the others.

Other runs are recorded beside their way, and may be left out where too many end at once. Who was told that a run was
accepted finds its end here.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from service.database.database import Writing
from service.domain.outcome import Logs
from service.domain.record import STATUSES
from service.usecases.job_endings import Ending

_RUN: Final = (
    "INSERT OR IGNORE INTO runs (id, workspace, function, status, revision, key, queued_ms, finished_ms, duration_ms, "
    "is_truncated, answer, logs) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_COUNT: Final = (
    "INSERT INTO run_counts (workspace, rows) VALUES (?, ?) ON CONFLICT DO UPDATE SET rows = rows + excluded.rows"
)


class JobArchive:
    """Knows what is too large to be kept."""

    def __init__(self, *, result_max_bytes: int, logs_max_bytes: int) -> None:
        self._result_max_bytes = result_max_bytes
        self._logs_max_bytes = logs_max_bytes

    async def write(self, write: Writing, endings: Sequence[Ending]) -> None:
        """Write these; one that is there already, since an earlier try was told to have failed, is left."""
        await write.executemany(_RUN, [self._row(ending) for ending in endings])
        await write.executemany(_COUNT, Counter(ending.job.workspace for ending in endings).items())

    def _row(self, ending: Ending) -> tuple[object, ...]:
        job, whole = ending.job, ending.error_json if ending.result_json is None else ending.result_json
        answer, logs = self._kept(whole), self._kept_logs(ending.logs)
        return (
            bytes.fromhex(job.id), job.workspace, job.function, STATUSES.index(ending.status), ending.revision, job.key,
            job.accepted_ms, ending.finished_ms, ending.duration_ms, int(answer != whole or logs is not ending.logs),
            answer, b"[%b]" % b",".join(logs) if logs else None,
        )  # fmt: skip

    def _kept(self, part: bytes | None) -> bytes | None:
        return None if part is None or len(part) > self._result_max_bytes else part

    def _kept_logs(self, logs: Logs) -> Logs:
        left = self._logs_max_bytes
        for place, entry in enumerate(logs):
            left -= len(entry) + 1
            if left < 0:
                return logs[:place]
        return logs
