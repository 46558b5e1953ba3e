"""The audit log: who changed what, written in the transaction that changes it."""

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import orjson

from service.database.database import Database, Writing
from service.domain.times import now_ms


class Actor(NamedTuple):
    """Who does something."""

    name: str
    """Of the key; `anonymous` where access is open."""
    address: str
    """Of the connection; empty for the command line."""


class Entry(NamedTuple):
    """What is to be written: who did what, to what."""

    actor: Actor
    action: str
    """`noun.verb`, as in `secret.set`."""
    workspace: str | None = None
    subject: str | None = None
    details: Mapping[str, Any] | None = None
    """No secret is ever among them."""


async def append(  # noqa: PLR0913  # who, what, to what
    write: Writing,
    actor: Actor,
    action: str,
    *,
    workspace: str | None = None,
    subject: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Add one line."""
    await append_all(write, [Entry(actor, action, workspace, subject, details)])


async def append_all(write: Writing, entries: Iterable[Entry]) -> None:
    """Add these, in order."""
    time_ms = now_ms()
    await write.executemany(
        "INSERT INTO audit (time_ms, key, address, action, workspace, subject, details) VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (
                time_ms, entry.actor.name, entry.actor.address, entry.action, entry.workspace, entry.subject,
                None if entry.details is None else orjson.dumps(entry.details).decode(),
            )
            for entry in entries
        ],
    )  # fmt: skip


class Wanted(NamedTuple):
    """Which lines are asked for; None asks for nothing in particular."""

    workspace: str | None = None
    action: str | None = None
    key: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    """The first millisecond that is not wanted any more."""
    before: int | None = None
    """Only lines that are older than this one."""


class Line(NamedTuple):
    """What was written once."""

    id: int
    time_ms: int
    key: str
    address: str
    action: str
    workspace: str | None
    subject: str | None
    details: Any


_COLUMNS: Final = Line._fields
_CONDITIONS: Final = {
    "workspace": "workspace = ?",
    "action": "action = ?",
    "key": "key = ?",
    "since_ms": "time_ms >= ?",
    "until_ms": "time_ms < ?",
    "before": "id < ?",
}


async def lines(database: Database, wanted: Wanted, *, limit: int) -> tuple[list[Line], bool]:
    """At most `limit` lines, newest first, and whether there are more. Raises: DatabaseUnavailable."""
    asked = {name: value for name, value in wanted._asdict().items() if value is not None}
    where = " AND ".join(_CONDITIONS[name] for name in asked) or "TRUE"
    rows = await database.rows(
        f"SELECT {', '.join(_COLUMNS)} FROM audit WHERE {where} ORDER BY id DESC LIMIT ?",  # noqa: S608  # constants
        (*asked.values(), limit + 1),
    )
    found = [_line(row) for row in rows]
    return found[:limit], len(found) > limit


def _line(row: sqlite3.Row) -> Line:
    values = {name: row[name] for name in _COLUMNS}
    if values["details"] is not None:
        values["details"] = orjson.loads(values["details"])
    return Line(**values)
