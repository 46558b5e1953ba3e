"""Revisions, what is live of them, aliases and disabled functions, as rows."""

import sqlite3
from collections.abc import Collection
from typing import Final, NamedTuple, Self

import orjson

from service.database.database import Database, Writing
from service.domain.releases import Alias
from service.domain.times import now_ms
from service.domain.workspace import Workspace

ALIASES: Final = "aliases"
DISABLED: Final = "disabled"
LIVE: Final = "live"
FORGOTTEN: Final = "forgotten"
"""Topics of changes; their subjects are workspaces."""

FUNCTIONS_MAX: Final = 100
"""So many names of functions stand beside a revision. All are in its definition."""

_COLUMNS: Final = "number, etag, functions, functions_count, created_ms, key, message"


class Revision(NamedTuple):
    """One deploy, without its definition."""

    number: int
    etag: str
    functions: list[str]
    """The first of their names."""
    functions_count: int
    created_ms: int
    key: str | None
    """None for what somebody changed on the volume."""
    message: str | None

    @classmethod
    def of(cls, row: sqlite3.Row) -> Self:
        return cls(
            row["number"], row["etag"], orjson.loads(row["functions"]), row["functions_count"],
            row["created_ms"], row["key"], row["message"],
        )  # fmt: skip


class Live(NamedTuple):
    """What a workspace runs, as far as the database knows."""

    number: int
    etag: str


async def append(write: Writing, workspace: Workspace, *, key: str | None, message: str | None) -> int:
    """A new revision. Returns its number."""
    row = await write.row("SELECT max(number) AS newest FROM revisions WHERE workspace = ?", (workspace.name,))
    functions = list(workspace.timeouts_ms)
    number = 1 + (0 if row is None or row["newest"] is None else int(row["newest"]))
    await write.execute(
        "INSERT INTO revisions (workspace, number, etag, functions, functions_count, created_ms, key, message, "
        "definition) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            workspace.name, number, workspace.revision, orjson.dumps(functions[:FUNCTIONS_MAX]).decode(),
            len(functions), now_ms(), key, message, workspace.definition_json().decode(),
        ),
    )  # fmt: skip
    return number


async def prune(write: Writing, workspace: str, *, keep: int) -> None:
    """Remove the oldest of more than so many, but what is live and what an alias names."""
    await write.execute(
        "DELETE FROM revisions WHERE workspace = ?1 AND number <= "
        "(SELECT number FROM revisions WHERE workspace = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2) "
        "AND number NOT IN (SELECT CAST(target.key AS INTEGER) "
        "FROM aliases, json_each(aliases.targets) AS target WHERE aliases.workspace = ?1) "
        "AND number NOT IN (SELECT number FROM live WHERE workspace = ?1)",
        (workspace, keep),
    )


async def live_of(write: Writing | Database, workspace: str) -> Live | None:
    """What was last made live; None for a workspace that was deleted, or never deployed."""
    row = await write.row("SELECT number, etag FROM live WHERE workspace = ?", (workspace,))
    return None if row is None else Live(row["number"], row["etag"])


async def make_live(write: Writing, workspace: Workspace, number: int) -> None:
    """This revision is on the volume. Its functions that were disabled are; of others that is forgotten."""
    await write.execute(
        "INSERT OR REPLACE INTO live (workspace, number, etag) VALUES (?, ?, ?)",
        (workspace.name, number, workspace.revision),
    )
    await write.execute("DELETE FROM deleted WHERE workspace = ?", (workspace.name,))
    gone = await write.execute(
        "DELETE FROM disabled_functions WHERE workspace = ? AND function NOT IN (SELECT value FROM json_each(?))",
        (workspace.name, orjson.dumps(list(workspace.timeouts_ms)).decode()),
    )
    if gone:
        await write.changed(DISABLED, workspace.name)
    await write.changed(LIVE, workspace.name)


async def forget(write: Writing, workspace: str, *, keep_deleted: int) -> None:
    """The workspace is deleted. What was live stays, so that it can be brought back, and so does the highest number,
    from which the next deploy counts on; both until so many others were deleted later.
    """
    await write.execute(
        "DELETE FROM revisions WHERE workspace = ?1 "
        "AND number <> (SELECT max(number) FROM revisions WHERE workspace = ?1) "
        "AND number NOT IN (SELECT number FROM live WHERE workspace = ?1)",
        (workspace,),
    )
    await write.execute("INSERT OR REPLACE INTO deleted (workspace, deleted_ms) VALUES (?, ?)", (workspace, now_ms()))
    await write.execute("DELETE FROM live WHERE workspace = ?", (workspace,))
    await write.execute("DELETE FROM aliases WHERE workspace = ?", (workspace,))
    await write.execute("DELETE FROM disabled_functions WHERE workspace = ?", (workspace,))
    for topic in (ALIASES, DISABLED, LIVE):
        await write.changed(topic, workspace)
    await _forget_oldest(write, keep=keep_deleted)


async def _forget_oldest(write: Writing, *, keep: int) -> None:
    oldest = await write.rows(
        "SELECT workspace FROM deleted ORDER BY deleted_ms DESC, rowid DESC LIMIT -1 OFFSET ?", (keep,)
    )
    for row in oldest:
        workspace = row["workspace"]
        await write.execute("DELETE FROM revisions WHERE workspace = ?", (workspace,))
        await write.execute("DELETE FROM deleted WHERE workspace = ?", (workspace,))
        await write.changed(FORGOTTEN, workspace)


async def page(database: Database, workspace: str, *, before: int, limit: int) -> tuple[list[Revision], bool]:
    """The newest below a number, newest first; and whether more follow."""
    rows = await database.rows(
        f"SELECT {_COLUMNS} FROM revisions WHERE workspace = ? AND number < ? ORDER BY number DESC LIMIT ?",  # noqa: S608
        (workspace, before, limit + 1),
    )
    return [Revision.of(row) for row in rows[:limit]], len(rows) > limit


async def find(database: Database, workspace: str, number: int) -> tuple[Revision, str] | None:
    """One, with its definition as JSON."""
    row = await database.row(
        f"SELECT {_COLUMNS}, definition FROM revisions WHERE workspace = ? AND number = ?",  # noqa: S608
        (workspace, number),
    )
    return None if row is None else (Revision.of(row), row["definition"])


async def missing(write: Writing, workspace: str, numbers: Collection[int]) -> list[int]:
    """Those of these that there are none of."""
    rows = await write.rows("SELECT number FROM revisions WHERE workspace = ?", (workspace,))
    return sorted(set(numbers) - {row["number"] for row in rows})


async def set_alias(write: Writing, workspace: str, name: str, alias: Alias) -> None:
    """Make it, or let it name others."""
    targets = {str(number): weight for number, weight in zip(alias.numbers, alias.weights, strict=True)}
    await write.execute(
        "INSERT OR REPLACE INTO aliases (workspace, name, targets) VALUES (?, ?, ?)",
        (workspace, name, orjson.dumps(targets).decode()),
    )
    await write.changed(ALIASES, workspace)


async def delete_alias(write: Writing, workspace: str, name: str) -> bool:
    """False if there is none."""
    gone = await write.execute("DELETE FROM aliases WHERE workspace = ? AND name = ?", (workspace, name))
    if gone:
        await write.changed(ALIASES, workspace)
    return bool(gone)


async def disable(write: Writing, workspace: str, function: str, *, is_disabled: bool) -> bool:
    """Returns whether it was otherwise before."""
    sql = (
        "INSERT OR IGNORE INTO disabled_functions (workspace, function) VALUES (?, ?)"
        if is_disabled
        else "DELETE FROM disabled_functions WHERE workspace = ? AND function = ?"
    )
    changed = await write.execute(sql, (workspace, function))
    if changed:
        await write.changed(DISABLED, workspace)
    return bool(changed)


def alias_of(row: sqlite3.Row) -> Alias:
    """As it was set."""
    return Alias.of({int(number): weight for number, weight in orjson.loads(row["targets"]).items()})


async def alias_count(write: Writing, workspace: str) -> int:
    """How many a workspace has."""
    row = await write.row("SELECT count(*) AS total FROM aliases WHERE workspace = ?", (workspace,))
    return 0 if row is None else int(row["total"])
