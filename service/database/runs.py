"""The table of runs: written in batches, read by pages, shortened from its old end. All of this belongs in a thread."""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Final, Literal

import msgspec
import orjson

from service.domain.record import FINISHED, STATUSES, Record, Status, Summary

ROWS_MAX: Final = 256
"""Of one statement: it has a parameter for each value, and there are 32,766 at the most."""
Row = tuple[bytes, str, str, int, int | None, str, int, int, float | None, bool, bytes | None, bytes | None]
"""One finished run as it is written: id, workspace, function, status, revision, key, queued, finished, duration in ms,
whether it was shortened, result or error, logs. The columns of the table in their order, but for the number.
"""
_ID_BYTES: Final = 16
_COLUMNS: Final = (
    "id, workspace, function, status, revision, key, queued_ms, finished_ms, duration_ms, is_truncated, answer, logs"
)
_SUMMARY: Final = "function, status, revision, key, queued_ms, finished_ms, duration_ms"
_RUNS: Final = f"""
    INSERT OR IGNORE INTO runs ({_COLUMNS})
    SELECT
        substr(:ids, run.key * {_ID_BYTES} + 1, {_ID_BYTES}), run.value ->> 0, run.value ->> 1, run.value ->> 2,
        run.value ->> 3, run.value ->> 4, run.value ->> 5, run.value ->> 6, run.value ->> 7, run.value ->> 8,
        CASE WHEN run.value ->> 10 IS NOT NULL THEN substr(:bodies, (run.value ->> 9) + 1, run.value ->> 10) END,
        CASE WHEN run.value ->> 12 IS NOT NULL THEN substr(:bodies, (run.value ->> 11) + 1, run.value ->> 12) END
    FROM json_each(:rows) AS run ORDER BY run.key
"""  # noqa: S608  # columns of ours
_COUNTS: Final = "INSERT INTO run_counts VALUES "
_ADD: Final = " ON CONFLICT DO UPDATE SET rows = rows + excluded.rows"
_WORKSPACE: Final = 1
_BODIES: Final = 10
_CODES: Final = tuple(STATUSES.index(status) for status in FINISHED)
_SUCCEEDED: Final = STATUSES.index("succeeded")


def insert(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Write these, in this order; those that are there already, since only the end of an earlier try failed, are left.

    Each statement is a transaction by itself: one with several would be held open while this thread waits for the
    interpreter between them, and other writers with it. A crash in between leaves counts a little wrong, see `recount`.
    """
    # As three values, whatever their number: to bind each by itself takes as long as to write it, and holds the
    # interpreter, which runs go without meanwhile.
    connection.execute(_RUNS, _packed(rows))
    counts = list(Counter([row[_WORKSPACE] for row in rows]).items())
    for part in _parts(counts):
        connection.execute(_COUNTS + _marks(len(part[0]), len(part)) + _ADD, list(chain.from_iterable(part)))


def _packed(rows: Sequence[Row]) -> dict[str, str | bytes]:
    """What is not text is cut out of all bytes of its kind in a row: ids have one length, of others it is told."""
    packed: list[tuple[object, ...]] = []
    bodies: list[bytes] = []
    at = 0
    for row in rows:
        places: list[int | None] = []
        for body in row[_BODIES:]:
            places += (at, None if body is None else len(body))
            if body is not None:
                bodies.append(body)
                at += len(body)
        packed.append((*row[_WORKSPACE:_BODIES], *places))
    ids = b"".join([row[0] for row in rows])
    return {"rows": orjson.dumps(packed).decode(), "ids": ids, "bodies": b"".join(bodies)}


def recount(connection: sqlite3.Connection) -> None:
    """Set right how many runs every workspace has."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("DELETE FROM run_counts")
    connection.execute(
        "INSERT INTO run_counts SELECT workspace, count(*) FROM runs INDEXED BY runs_by_status GROUP BY workspace"
    )
    connection.execute("COMMIT")


def find(connection: sqlite3.Connection, workspace: str, run_id: bytes) -> Record | None:
    """One run of this workspace."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM runs INDEXED BY runs_by_id WHERE id = ? AND workspace = ?",  # noqa: S608
        (run_id, workspace),
    ).fetchone()
    return None if row is None else record_of(row)


def record_of(row: Row) -> Record:
    """What a row stands for."""
    run_id, _workspace, function, status, revision, key, queued_ms, finished_ms, duration_ms = row[:9]
    is_truncated, answer, logs = row[9:]
    summary = _summary(run_id.hex(), function, status, revision, key, queued_ms, finished_ms, duration_ms)
    result, error = (answer, None) if status == _SUCCEEDED else (None, answer)
    return Record(
        **msgspec.structs.asdict(summary),
        result_json=result,
        error_json=error,
        logs_json=logs or b"[]",
        is_truncated=bool(is_truncated),
    )


def page(  # noqa: PLR0913  # filters, and where to begin
    connection: sqlite3.Connection, workspace: str, *, function: str | None, status: Status | None,
    before: int | None, limit: int,
) -> list[tuple[int, Summary]]:  # fmt: skip
    """The newest runs, with their numbers; those before a number, if one is given."""
    codes = _CODES if status is None else (STATUSES.index(status),)
    named: dict[str, Any] = {"workspace": workspace, "limit": limit}
    index, where = "runs_by_status", "workspace = :workspace"
    if function is not None:
        named["function"] = function
        index, where = "runs_by_function", f"{where} AND function = :function"
    if before is not None:
        named["before"] = before
        where += " AND number < :before"
    numbers = _merged(index, where, codes, "DESC")
    # One row, since every row is a wait for the interpreter.
    rows = f"SELECT * FROM runs WHERE number IN ({numbers}) ORDER BY number DESC"  # noqa: S608
    (text,) = connection.execute(
        f"SELECT json_group_array(json_array(number, lower(hex(id)), {_SUMMARY})) FROM ({rows})",  # noqa: S608
        named,
    ).fetchone()
    return [(number, _summary(*rest)) for number, *rest in orjson.loads(text)]


def workspaces(connection: sqlite3.Connection, *, after: str, limit: int) -> list[tuple[str, int]]:
    """Some of those that have runs, by name, with how many."""
    return connection.execute(
        "SELECT workspace, rows FROM run_counts WHERE workspace > ? ORDER BY workspace LIMIT ?", (after, limit)
    ).fetchall()


def has_any(connection: sqlite3.Connection, workspace: str) -> bool:
    """Whether there is a run of this workspace."""
    return connection.execute("SELECT 1 FROM run_counts WHERE workspace = ?", (workspace,)).fetchone() is not None


def has_older(connection: sqlite3.Connection, workspace: str, *, before_ms: int) -> bool:
    """Whether the oldest run of a workspace finished too long ago."""
    return bool(_oldest_beyond(connection, workspace, before_ms=before_ms, beyond=0, limit=1))


def delete_oldest(
    connection: sqlite3.Connection, workspace: str, *, before_ms: int, beyond: int, limit: int
) -> tuple[int, bool]:
    """Delete the oldest runs of a workspace: as many as there are `beyond` what it may have, and those that finished
    too long ago; `limit` at the most. Returns how many went, and whether there may be more.
    """
    numbers = _oldest_beyond(connection, workspace, before_ms=before_ms, beyond=beyond, limit=limit)
    if not numbers:
        return 0, False
    text = orjson.dumps(numbers).decode()
    # Each by itself, as in `insert`. Some may have gone since: another service cleans up, too.
    gone = connection.execute("DELETE FROM runs WHERE number IN (SELECT value FROM json_each(?))", (text,)).rowcount
    connection.execute("UPDATE run_counts SET rows = rows - ? WHERE workspace = ?", (gone, workspace))
    connection.execute("DELETE FROM run_counts WHERE workspace = ? AND rows <= 0", (workspace,))
    return gone, len(numbers) == limit


def _oldest_beyond(
    connection: sqlite3.Connection, workspace: str, *, before_ms: int, beyond: int, limit: int
) -> list[int]:
    oldest = _merged("runs_by_status", "workspace = :workspace", _CODES, "ASC")
    (text,) = connection.execute(
        f"SELECT json_group_array(json_array(number, finished_ms)) FROM (SELECT number, finished_ms FROM runs "  # noqa: S608
        f"WHERE number IN ({oldest}) ORDER BY number)",
        {"workspace": workspace, "limit": limit},
    ).fetchone()
    numbers = []
    for place, (number, finished_ms) in enumerate(orjson.loads(text)):
        if place >= beyond and finished_ms >= before_ms:
            break
        numbers.append(number)
    return numbers


def _summary(  # noqa: PLR0913, PLR0917  # the columns of a row
    run_id: str, function: str, status: int, revision: int | None, key: str, queued_ms: int, finished_ms: int,
    duration_ms: float | None,
) -> Summary:  # fmt: skip
    started_ms = None if duration_ms is None else max(queued_ms, finished_ms - round(duration_ms))
    return Summary(
        run_id, function, STATUSES[status], revision, key, queued_ms, started_ms, finished_ms, duration_ms
    )  # fmt: skip


def _merged(index: str, where: str, codes: Sequence[int], order: Literal["ASC", "DESC"]) -> str:
    """The first numbers of the lists of several statuses, each of which this index has in order.

    It is named, since there are no statistics by which SQLite could know that the others are worse.
    """
    end = f"ORDER BY number {order} LIMIT :limit"
    lists = (
        f"SELECT * FROM (SELECT number FROM runs INDEXED BY {index} WHERE {where} AND status = {code} {end})"  # noqa: S608
        for code in codes
    )
    return f"{' UNION ALL '.join(lists)} {end}"


def _parts(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """In sizes that are powers of two, so that there are few different statements to prepare."""
    begin, size = 0, ROWS_MAX
    while begin < len(rows):
        while size > len(rows) - begin:
            size //= 2
        yield rows[begin : begin + size]
        begin += size


def _marks(columns: int, rows: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return ", ".join([row] * rows)


def shrink(connection: sqlite3.Connection, *, keep: int, step: int) -> bool:
    """Give some unused pages back to the volume, if there are more than are to be kept and more than a quarter of the
    file, which the next rush would need again. Returns whether it did.
    """
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    keep = max(keep, pages // 4)
    if free <= keep:
        return False
    # A script, since this gives back one page a step, and `execute` takes the first step alone.
    connection.executescript(f"PRAGMA incremental_vacuum({min(step, free - keep)})")
    (left,) = connection.execute("PRAGMA freelist_count").fetchone()
    return bool(left < free)
