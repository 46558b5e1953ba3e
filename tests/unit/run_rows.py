"""What the history is expected to tell."""

from service.database.run_groups import Row, Run, record_of
from service.domain.record import Record


def record_of_row(row: Row) -> Record:
    """As if it had been read from the database."""
    run_id, _workspace, function, status, revision, key, queued_ms, finished_ms, duration_ms = row[:9]
    is_truncated, answer, logs = row[9:]
    lengths = (None if body is None else len(body) for body in (answer, logs))
    run = Run(run_id, 0, revision, key, queued_ms, finished_ms, duration_ms, is_truncated, *lengths)
    return record_of(run, function, status, (answer or b"") + (logs or b""))
