"""The history as it is looked at: single runs, and pages of them. All of this belongs in a thread."""

import sqlite3
from operator import itemgetter
from typing import Any, Final

import orjson

from service.database.run_groups import PLACE_BITS, PLACES, Run, ids_beside, number_of, record_in, summary_of
from service.database.run_order import CODES, merged, oldest
from service.domain.record import STATUSES, Record, Status, Summary

_NUMBER_MAX: Final = 2**63 - 1


def find(connection: sqlite3.Connection, workspace: str, run_id: str) -> Record | None:
    """One run of this workspace."""
    groups = connection.execute(
        "SELECT function, status, runs, bodies FROM run_groups INDEXED BY run_groups_by_id "
        "WHERE workspace = ? AND first_id BETWEEN ? AND ? AND instr(runs, ?)",
        (workspace, *ids_beside(run_id), run_id),
    )
    for function, status, text, bodies in groups:
        if (record := record_in(text, bodies, run_id, function, status)) is not None:
            return record
    return None


def page(  # noqa: PLR0913  # filters, and where to begin
    connection: sqlite3.Connection, workspace: str, *, function: str | None, status: Status | None,
    before: int | None, limit: int,
) -> list[tuple[int, Summary]]:  # fmt: skip
    """The newest runs, with their numbers; those before a number, if one is given."""
    codes = CODES if status is None else (STATUSES.index(status),)
    end = _NUMBER_MAX if before is None else min(before, _NUMBER_MAX)
    named: dict[str, Any] = {"workspace": workspace, "limit": limit, "end": end, "last": -1}
    index, where = "run_groups_by_status", "workspace = :workspace"
    if function is not None:
        named["function"] = function
        index, where = "run_groups_by_function", f"{where} AND function = :function"
    if before is not None:
        # Groups of that batch may begin before it, wherever they end; not all of them do.
        named.update(end=number_of(end, PLACES - 1), last=end >> PLACE_BITS, limit=limit + PLACES)
    groups = merged(index, f"{where} AND number <= :end", codes, "DESC")
    # As many batches as are needed, whole: the groups of one are side by side. One row, since every row is a wait for
    # the interpreter.
    (text,) = connection.execute(
        f"""
        WITH found AS ({groups}), summed AS (
            SELECT number, sum(rows * (number >> {PLACE_BITS} <> :last)) OVER (
                ORDER BY number >> {PLACE_BITS} DESC GROUPS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) AS newer FROM found
        )
        SELECT group_concat('[' || number || ',' || json_quote(function) || ',' || status || ',' || runs || ']')
        FROM run_groups WHERE number IN (SELECT number FROM summed WHERE coalesce(newer, 0) < {limit})
        """,  # noqa: S608  # columns and numbers of ours
        named,
    ).fetchone()
    found = [
        (number, run, name, code)
        for group, name, code, runs in orjson.loads(f"[{text or ''}]")
        for run in runs
        if (number := number_of(group, run[1])) < end
    ]
    found.sort(key=itemgetter(0), reverse=True)
    return [(number, summary_of(Run._make(run), name, code)) for number, run, name, code in found[:limit]]


def workspaces(connection: sqlite3.Connection, *, after: str, limit: int) -> list[tuple[str, int]]:
    """Some of those that have runs, by name, with how many."""
    return connection.execute(
        "SELECT workspace, rows FROM run_counts WHERE workspace > ? ORDER BY workspace LIMIT ?", (after, limit)
    ).fetchall()


def has_any(connection: sqlite3.Connection, workspace: str) -> bool:
    """Whether there is a run of this workspace."""
    return connection.execute("SELECT 1 FROM run_counts WHERE workspace = ?", (workspace,)).fetchone() is not None


def has_older(connection: sqlite3.Connection, workspace: str, *, before_ms: int) -> bool:
    """Whether the oldest runs of a workspace finished too long ago."""
    found = oldest(connection, workspace, limit=1)
    return bool(found) and found[0].finished_ms < before_ms
