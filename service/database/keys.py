"""Keys in the database. What changes one is in the audit log, and known to every service when it is done."""

import json
import sqlite3
from collections.abc import Iterable
from typing import Final, NamedTuple

from service.database import audit, readings
from service.database.audit import Actor
from service.database.database import Database
from service.database.group_commit import GroupCommit
from service.domain.keys import Key, Minted, NewKey, mint, workspaces_from
from service.domain.times import now_ms
from service.errors import KeyNameTaken, KeyNotFound

TOPIC: Final = "keys"

_COLUMNS: Final = "number, id, name, role, workspaces, created_ms, expires_ms, used_ms, revoked_ms"


class KnownKey(NamedTuple):
    """A key that is not revoked, with what it is recognised by."""

    key: Key
    digest: bytes


class Keys:
    """Made, listed, revoked. A row is never deleted: what was done with a key has to be attributable."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._readings = GroupCommit(database)

    async def create(self, new: NewKey, actor: Actor) -> tuple[Key, Minted]:
        """A new key; it is good from now on, in every service. Raises: KeyNameTaken, DatabaseUnavailable."""
        minted, created_ms = mint(), now_ms()
        async with self._database.writing() as write:
            other = await write.row("SELECT id FROM keys WHERE name = ? AND revoked_ms IS NULL", (new.name,))
            if other is not None:
                raise KeyNameTaken(new.name, other["id"])
            workspaces = None if new.workspaces is None else json.dumps(new.workspaces)
            await write.execute(
                "INSERT INTO keys (id, name, digest, role, workspaces, created_ms, expires_ms)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (minted.id, new.name, minted.digest, new.role, workspaces, created_ms, new.expires_ms),
            )
            details = {"name": new.name, "role": new.role, "workspaces": new.workspaces}
            await audit.append(write, actor, "key.created", subject=minted.id, details=details)
            await write.changed(TOPIC, minted.id)
        return (
            Key(minted.id, new.name, new.role, new.workspaces, created_ms, new.expires_ms, None, None),
            minted,
        )

    async def revoke(self, key_id: str, actor: Actor) -> Key:
        """It is good for nothing from now on, in any service. Once more does nothing. Raises: KeyNotFound,
        DatabaseUnavailable.
        """
        async with self._database.writing() as write:
            row = await write.row(f"SELECT {_COLUMNS} FROM keys WHERE id = ?", (key_id,))  # noqa: S608  # a constant
            if row is None:
                raise KeyNotFound(key_id)
            if row["revoked_ms"] is None:
                await write.execute("UPDATE keys SET revoked_ms = ? WHERE id = ?", (now_ms(), key_id))
                await audit.append(write, actor, "key.revoked", subject=key_id, details={"name": row["name"]})
                await write.changed(TOPIC, key_id)
        return _key(row)

    async def read(self, key_id: str, actor: Actor) -> Key:
        """What is known of one. Raises: KeyNotFound, DatabaseUnavailable."""
        row = await self._database.row(f"SELECT {_COLUMNS} FROM keys WHERE id = ?", (key_id,))  # noqa: S608  # as above
        if row is None:
            raise KeyNotFound(key_id)
        await readings.note(self._readings, actor, "keys.listed", subject=key_id)
        return _key(row)

    async def page(self, actor: Actor, *, after: int, limit: int) -> tuple[list[Key], int | None]:
        """At most `limit`, oldest first, revoked ones too; and where the next page begins. Raises:
        DatabaseUnavailable.
        """
        rows = await self._database.rows(
            f"SELECT {_COLUMNS} FROM keys WHERE number > ? ORDER BY number LIMIT ?",  # noqa: S608  # as above
            (after, limit + 1),
        )
        await readings.note(self._readings, actor, "keys.listed")
        more = len(rows) > limit
        return [_key(row) for row in rows[:limit]], rows[limit - 1]["number"] if more else None

    async def exist(self) -> bool:
        """Whether there ever was one: what was closed is not opened by revoking."""
        return await self._database.row("SELECT 1 FROM keys LIMIT 1") is not None

    async def known(self, key_id: str | None = None) -> list[KnownKey]:
        """Those that are not revoked, or this one of them. Raises: DatabaseUnavailable."""
        rows = await self._database.rows(
            f"SELECT {_COLUMNS}, digest FROM keys WHERE revoked_ms IS NULL AND (id = ?1 OR ?1 IS NULL)",  # noqa: S608  # as above
            (key_id,),
        )
        return [KnownKey(_key(row), row["digest"]) for row in rows]

    async def note_uses(self, uses: Iterable[tuple[str, int]]) -> None:
        """When keys were last used: id and time. Nobody is told, it matters to nobody's memory."""
        async with self._database.writing() as write:
            await write.executemany("UPDATE keys SET used_ms = max(coalesce(used_ms, 0), ?2) WHERE id = ?1", list(uses))


def _key(row: sqlite3.Row) -> Key:
    return Key(
        row["id"], row["name"], row["role"], workspaces_from(row["workspaces"]),
        row["created_ms"], row["expires_ms"], row["used_ms"], row["revoked_ms"],
    )  # fmt: skip
