"""Groups of runs by age, and how the oldest leave."""

import sqlite3
from collections.abc import Sequence
from itertools import groupby
from typing import Final, Literal, NamedTuple

import orjson

from service.database.run_groups import PLACE_BITS, PLACES, Run, number_of, runs_of
from service.domain.record import FINISHED, STATUSES

CODES: Final = tuple(STATUSES.index(status) for status in FINISHED)
STEP_BYTES: Final = 2 * 1024 * 1024
"""Deleted in one go, about: the pages that are freed are what takes the time."""
_RUN_BYTES: Final = 128


class Group(NamedTuple):
    """What its age and size are known by."""

    number: int
    rows: int
    finished_ms: int
    """The last of them."""
    bodies_bytes: int


def oldest(connection: sqlite3.Connection, workspace: str, *, limit: int) -> list[Group]:
    """The first groups of a workspace."""
    numbers = merged("run_groups_by_status", "workspace = :workspace", CODES, "ASC")
    (text,) = connection.execute(
        "SELECT json_group_array(json_array(number, rows, finished_ms, bytes)) FROM ("  # noqa: S608  # of ours
        "SELECT number, rows, finished_ms, length(bodies) AS bytes FROM run_groups "
        f"WHERE number IN (SELECT number FROM ({numbers})) ORDER BY number)",
        {"workspace": workspace, "limit": limit},
    ).fetchone()
    return [Group(*group) for group in orjson.loads(text)]


def delete_oldest(
    connection: sqlite3.Connection, workspace: str, *, before_ms: int, keep: int, limit: int
) -> tuple[int, bool]:
    """Delete the oldest runs of a workspace: those beyond what it may `keep`, and groups that finished too long ago;
    `limit` groups at the most. Returns how many runs went, and whether there may be more.
    """
    # Another service cleans up, too: both would find the same ones, and each delete as many again.
    connection.execute("BEGIN IMMEDIATE")
    counted = connection.execute("SELECT rows FROM run_counts WHERE workspace = ?", (workspace,)).fetchone()
    beyond = max(0, counted[0] - keep) if counted else 0
    gone, is_more = _delete(connection, workspace, before_ms=before_ms, beyond=beyond, limit=limit)
    connection.execute("UPDATE run_counts SET rows = rows - ? WHERE workspace = ?", (gone, workspace))
    connection.execute("DELETE FROM run_counts WHERE workspace = ? AND rows <= 0", (workspace,))
    connection.execute("COMMIT")
    return gone, is_more and gone > 0


def _delete(
    connection: sqlite3.Connection, workspace: str, *, before_ms: int, beyond: int, limit: int
) -> tuple[int, bool]:
    groups = oldest(connection, workspace, limit=limit)
    numbers: list[int] = []
    gone = size = 0
    is_more = len(groups) == limit
    for batch, found in groupby(groups, key=_batch):
        members = list(found)
        rows, left = sum(group.rows for group in members), beyond - gone
        # The last one may have groups that are not among these, and they runs that are older.
        is_whole = len(groups) < limit or members[-1] is not groups[-1]
        leaving = (
            members
            if left >= (rows if is_whole else PLACES)
            else [group for group in members if group.finished_ms < before_ms]
        )
        numbers += [group.number for group in leaving]
        gone += sum(group.rows for group in leaving)
        if len(leaving) < len(members):
            if not leaving and left > 0:
                gone += _trim(connection, workspace, batch, left)
            break
        size += sum(group.bodies_bytes + group.rows * _RUN_BYTES for group in members)
        if size >= STEP_BYTES:
            is_more = True
            break
    text = orjson.dumps(numbers).decode()
    connection.execute("DELETE FROM run_groups WHERE number IN (SELECT value FROM json_each(?))", (text,))
    return gone, is_more


def recount(connection: sqlite3.Connection) -> None:
    """Set right how many runs every workspace has."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("DELETE FROM run_counts")
    connection.execute(
        "INSERT INTO run_counts "
        "SELECT workspace, sum(rows) FROM run_groups INDEXED BY run_groups_by_status GROUP BY workspace"
    )
    connection.execute("COMMIT")


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


def merged(index: str, where: str, codes: Sequence[int], order: Literal["ASC", "DESC"]) -> str:
    """A query for the first groups, numbers and rows, of the lists of several statuses, which this index has in order.

    It is named, since there are no statistics by which SQLite could know that the others are worse.
    """
    end = f"ORDER BY number {order} LIMIT :limit"
    lists = (
        f"SELECT * FROM (SELECT number, rows FROM run_groups INDEXED BY {index} "  # noqa: S608  # of ours
        f"WHERE {where} AND status = {code} {end})"
        for code in codes
    )
    return f"{' UNION ALL '.join(lists)} {end}"


def _batch(group: Group) -> int:
    return group.number >> PLACE_BITS


def _trim(connection: sqlite3.Connection, workspace: str, batch: int, beyond: int) -> int:
    """Delete the first runs of this batch, which may lie in several groups. Returns how many went."""
    first = batch << PLACE_BITS
    groups: list[tuple[int, str]] = connection.execute(
        "SELECT number, runs FROM run_groups WHERE number BETWEEN ? AND ? AND workspace = ?",
        (first, number_of(first, PLACES - 1), workspace),
    ).fetchall()
    members = [(number, list(runs_of(text))) for number, text in groups]
    dropped = set(sorted(run.place for _, runs in members for run in runs)[:beyond])
    for number, runs in members:
        kept = [run for run in runs if run.place not in dropped]
        if not kept:
            connection.execute("DELETE FROM run_groups WHERE number = ?", (number,))
        elif len(kept) < len(runs):
            skip = sum(map(_body_bytes, runs)) - sum(map(_body_bytes, kept))
            connection.execute(
                # Of an empty blob every part is NULL.
                "UPDATE run_groups SET rows = ?, runs = ?, bodies = coalesce(substr(bodies, ?), x'') WHERE number = ?",
                (len(kept), orjson.dumps([tuple(run) for run in kept]).decode(), skip + 1, number),
            )
    return len(dropped)


def _body_bytes(run: Run) -> int:
    return (run.answer_bytes or 0) + (run.logs_bytes or 0)
