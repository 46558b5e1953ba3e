"""The ends of accepted runs, written into the history in the transaction in which they leave the table of the others.

Other runs are recorded beside their way, and may be left out where too many end at once. Who was told that a run was
accepted finds its end here.
"""

from collections import Counter
from collections.abc import Sequence

from service.database.database import Writing
from service.database.run_groups import (
    NEXT_BATCH,
    ONE_COUNT,
    ONE_GROUP,
    PLACE_BITS,
    PLACES,
    Row,
    group_of,
    number_of,
)
from service.domain.outcome import Logs
from service.domain.record import STATUSES
from service.usecases.job_endings import Ending


class JobArchive:
    """Knows what is too large to be kept."""

    def __init__(self, *, result_max_bytes: int, logs_max_bytes: int) -> None:
        self._result_max_bytes = result_max_bytes
        self._logs_max_bytes = logs_max_bytes

    async def write(self, write: Writing, endings: Sequence[Ending]) -> None:
        """Write these; one that is there already, since an earlier try was told to have failed, is left."""
        for begin in range(0, len(endings), PLACES):
            (found,) = await write.rows(NEXT_BATCH)
            groups = [
                # Each by itself: when it is tried again others may be beside it.
                group_of(self._row(ending), number=number_of(found["number"] << PLACE_BITS, place))
                for place, ending in enumerate(endings[begin : begin + PLACES])
            ]
            await write.executemany(ONE_GROUP, groups)
        await write.executemany(ONE_COUNT, Counter(ending.job.workspace for ending in endings).items())

    def _row(self, ending: Ending) -> Row:
        job, whole = ending.job, ending.error_json if ending.result_json is None else ending.result_json
        answer, logs = self._kept(whole), self._kept_logs(ending.logs)
        return (
            job.id, job.workspace, job.function, STATUSES.index(ending.status), ending.revision, job.key,
            job.accepted_ms, ending.finished_ms, ending.duration_ms, answer != whole or logs is not ending.logs,
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
