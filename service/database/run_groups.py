"""Runs as the database has them: in groups, each a row.

A row of its own for each run costs five times what a run in a group does: a value has to be bound for each column, and
three indexes have to be kept. What is written at the same time is alike where it is much: the same function, run many
times.

A batch is given a number; in it, each run has a place. So `number_of` tells a run from all others, and tells which is
the newer one.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

import msgspec
import orjson

from service.domain.record import STATUSES, Record, Summary

PLACE_BITS: Final = 10
PLACES: Final = 1 << PLACE_BITS
"""In a batch, for runs."""
_ID_DIGITS: Final = 32
_ALIKE: Final = 29
"""Of those: the ids of a group differ in the others alone, so that one can be looked for."""
STATEMENT_MAX: Final = 256
"""Rows of one statement: it has a parameter for each value, and there are 32,766 at the most."""
_SUCCEEDED: Final = STATUSES.index("succeeded")
_GROUPS: Final = "INSERT OR IGNORE INTO run_groups VALUES "
_COUNTS: Final = "INSERT INTO run_counts VALUES "
_ADD: Final = " ON CONFLICT DO UPDATE SET rows = rows + excluded.rows"
NEXT_BATCH: Final = "UPDATE run_batches SET number = number + 1 RETURNING number"
ONE_GROUP: Final = f"{_GROUPS} (?, ?, ?, ?, ?, ?, ?, ?, ?)"
ONE_COUNT: Final = f"{_COUNTS} (?, ?) {_ADD}"
"""What `insert` does, for who has a transaction open."""

Row = tuple[str, str, str, int, int | None, str, int, int, float | None, bool, bytes | None, bytes | None]
"""One finished run: id, workspace, function, status, revision, key, queued, finished, duration in ms, whether it was
shortened, result or error, logs.
"""
_Of = tuple[str, str, int, str]
"""Workspace, function, status, and the digits that all ids have."""
_encoded: Final = orjson.dumps
_LINE: Final = orjson.OPT_APPEND_NEWLINE


class Run(NamedTuple):
    """One finished run in its group. A body is what it gave, or its error, and then its logs."""

    id: str
    place: int
    revision: int | None
    key: str
    queued_ms: int
    finished_ms: int
    duration_ms: float | None
    is_truncated: bool
    answer_bytes: int | None
    """None if there is none."""
    logs_bytes: int | None


class _Group:
    """Runs that will be one row."""

    __slots__ = ("bodies", "count", "last_at", "runs")

    def __init__(self) -> None:
        self.runs = bytearray()
        """A line of JSON for each."""
        self.bodies = bytearray()
        self.count = 0
        self.last_at = 0
        """Where the last line begins."""


class Batch:
    """Runs that are written together, in their order.

    Each is encoded when it is added: all it is made of is at hand then, nothing of it is kept alive until it is
    written, and who writes hardly needs the interpreter.
    """

    def __init__(self) -> None:
        self.count = 0
        self.bytes = 0
        """Of results and logs."""
        self._groups: dict[_Of, _Group] = {}

    def add(  # noqa: PLR0913, PLR0917  # a `Row`, by position, since this is paid by every run
        self, run_id: str, workspace: str, function: str, status: int, revision: int | None, key: str, queued_ms: int,
        finished_ms: int, duration_ms: float | None, is_truncated: bool, answer: bytes | None, logs: bytes | None,  # noqa: FBT001
    ) -> None:  # fmt: skip
        """No more of them than `PLACES`."""
        # As `Run`, which would take longer to make.
        run = _encoded((
            run_id, self.count, revision, key, queued_ms, finished_ms, duration_ms, is_truncated,
            None if answer is None else len(answer), None if logs is None else len(logs),
        ), None, _LINE)  # fmt: skip
        of = (workspace, function, status, run_id[:_ALIKE])
        group = self._groups.get(of)
        if group is None:
            group = self._groups[of] = _Group()
        runs = group.runs
        group.last_at = len(runs)
        group.count += 1
        runs += run
        if answer is not None:
            group.bodies += answer
            self.bytes += len(answer)
        if logs is not None:
            group.bodies += logs
            self.bytes += len(logs)
        self.count += 1

    def find(self, workspace: str, run_id: str) -> Record | None:
        """One of these."""
        for (name, function, status, alike), group in self._groups.items():
            if name == workspace and run_id.startswith(alike) and run_id.encode() in group.runs:
                record = record_in(_text(group), bytes(group.bodies), run_id, function, status)
                if record is not None:
                    return record
        return None

    def groups(self, number: int) -> list[tuple[object, ...]]:
        """The rows of the table, for a batch of this number."""
        return [_group(of, number, group) for of, group in self._groups.items()]

    def counts(self) -> list[tuple[str, int]]:
        """How many runs of each workspace."""
        counts: Counter[str] = Counter()
        for (workspace, *_), group in self._groups.items():
            counts[workspace] += group.count
        return list(counts.items())


def group_of(row: Row, *, number: int) -> tuple[object, ...]:
    """The row of the table for one run by itself."""
    batch = Batch()
    batch.add(*row)
    (group,) = batch.groups(0)
    return (number, *group[1:])


def insert(connection: sqlite3.Connection, batch: Batch) -> None:
    """Write these; what is there already, since only the end of an earlier try failed, is left.

    Each statement is a transaction by itself: one with several would be held open while this thread waits for the
    interpreter between them, and other writers with it. A crash in between leaves counts a little wrong, see `recount`.
    """
    (number,) = connection.execute(NEXT_BATCH).fetchone()
    for part in _parts(batch.groups(number)):
        connection.execute(_GROUPS + _marks(len(part[0]), len(part)), list(chain.from_iterable(part)))
    for part in _parts(batch.counts()):
        connection.execute(_COUNTS + _marks(2, len(part)) + _ADD, list(chain.from_iterable(part)))


def number_of(group: int, place: int) -> int:
    """Of a run in the group with that number."""
    return group >> PLACE_BITS << PLACE_BITS | place


def ids_beside(run_id: str) -> tuple[bytes, bytes]:
    """The least and the greatest id that the first run of the group of this one can have."""
    alike = run_id[:_ALIKE]
    return bytes.fromhex(alike.ljust(_ID_DIGITS, "0")), bytes.fromhex(alike.ljust(_ID_DIGITS, "f"))


def runs_of(text: str) -> Iterator[Run]:
    """Those of a group, in their order."""
    return map(Run._make, orjson.loads(text))


def record_in(text: str, bodies: bytes, run_id: str, function: str, status: int) -> Record | None:
    """One run of a group."""
    begin = 0
    for run in runs_of(text):
        end = begin + (run.answer_bytes or 0) + (run.logs_bytes or 0)
        if run.id == run_id:
            return record_of(run, function, status, bodies[begin:end])
        begin = end
    return None


def record_of(run: Run, function: str, status: int, body: bytes) -> Record:
    """All that is known of one."""
    end = run.answer_bytes or 0
    answer = None if run.answer_bytes is None else body[:end]
    logs = b"[]" if run.logs_bytes is None else body[end:]
    return Record(
        **msgspec.structs.asdict(summary_of(run, function, status)),
        result_json=answer if status == _SUCCEEDED else None,
        error_json=None if status == _SUCCEEDED else answer,
        logs_json=logs,
        is_truncated=run.is_truncated,
    )


def summary_of(run: Run, function: str, status: int) -> Summary:
    """What a list tells of one."""
    queued_ms, finished_ms, duration_ms = run.queued_ms, run.finished_ms, run.duration_ms
    started_ms = None if duration_ms is None else max(queued_ms, finished_ms - round(duration_ms))
    return Summary(
        run.id, function, STATUSES[status], run.revision, run.key, queued_ms, started_ms, finished_ms, duration_ms,
    )  # fmt: skip


def _group(of: _Of, number: int, group: _Group) -> tuple[object, ...]:
    workspace, function, status, _ = of
    first = Run._make(orjson.loads(group.runs[: group.runs.index(b"\n")]))
    last = Run._make(orjson.loads(group.runs[group.last_at :]))
    return (
        number_of(number << PLACE_BITS, last.place), workspace, function, status, bytes.fromhex(first.id), group.count,
        last.finished_ms, _text(group), group.bodies,
    )  # fmt: skip


def _text(group: _Group) -> str:
    """As one list. Lines have no other newlines in them: it is JSON."""
    lines = group.runs[:-1].replace(b"\n", b",")
    return f"[{lines.decode()}]"


def _parts(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """In sizes that are powers of two, so that there are few different statements to prepare."""
    begin, size = 0, STATEMENT_MAX
    while begin < len(rows):
        while size > len(rows) - begin:
            size //= 2
        yield rows[begin : begin + size]
        begin += size


def _marks(columns: int, rows: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return ", ".join([row] * rows)
