"""Keys that are in use, and the answers they have: who writes a key down first is who runs."""

import sqlite3
from collections.abc import Sequence
from typing import Final

import orjson

from service.database.database import Database, Writing
from service.database.group_commit import GroupCommit
from service.database.owners import Owner
from service.domain.idempotency import DAY_MS, Answer, Claim, Place
from service.domain.times import now_ms

PURGE_TOGETHER: Final = 500
_WHERE: Final = "workspace = ? AND caller = ? AND key = ?"


class ClaimStore:
    """The table of keys. All of it raises DatabaseUnavailable."""

    def __init__(self, database: Database, group: GroupCommit, owner: Owner) -> None:
        self._database = database
        self._group = group
        self._owner = owner

    async def claim(self, claim: Claim) -> bool:
        """Whether the key was free, and is now this one's: that is on disk."""
        return await self._group.do(self._claim, claim)

    async def find(self, place: Place) -> sqlite3.Row | None:
        """What is known of a key."""
        return await self._database.row(f"SELECT * FROM idempotency WHERE {_WHERE}", place)  # noqa: S608  # a constant

    async def keep(self, claim: Claim, answer: Answer) -> None:
        """This is its answer from now on."""
        await self._group.do(self._keep, (claim, answer))

    async def release(self, claim: Claim) -> None:
        """The key is free again."""
        await self._group.do(self._release, claim)

    async def is_job_known(self, run_id: str) -> bool:
        """Whether a run was accepted, and is not finished."""
        return await self._database.row("SELECT 1 FROM jobs WHERE id = ?", (run_id,)) is not None

    async def purge(self) -> bool:
        """Forget some that are older than a day; returns whether there may be more."""
        async with self._database.writing() as write:
            gone = await write.execute(
                "DELETE FROM idempotency WHERE (workspace, caller, key) IN "
                "(SELECT workspace, caller, key FROM idempotency WHERE claimed_ms < ? LIMIT ?)",
                (now_ms() - DAY_MS, PURGE_TOGETHER),
            )
            gone += await write.execute(
                "DELETE FROM deliveries WHERE id IN "
                "(SELECT id FROM deliveries WHERE status <> 'pending' AND due_ms < ? LIMIT ?)",
                (now_ms() - 7 * DAY_MS, PURGE_TOGETHER),
            )
        return gone >= PURGE_TOGETHER

    async def _claim(self, write: Writing, claims: Sequence[Claim]) -> Sequence[bool]:
        now = now_ms()
        await write.executemany(
            f"DELETE FROM idempotency WHERE {_WHERE} AND claimed_ms < ?",  # noqa: S608  # as above
            [(*claim.place, now - DAY_MS) for claim in claims],
        )
        await write.executemany(
            "INSERT INTO idempotency (workspace, caller, key, fingerprint, run_id, is_job, owner, claimed_ms) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            [
                (*claim.place, claim.fingerprint, claim.run_id, int(claim.is_job), self._owner.name, now)
                for claim in claims
            ],
        )
        # By the keys, since there is no index of runs; whose run is there has the key.
        rows = await write.rows(
            "SELECT i.run_id FROM json_each(?) AS asked JOIN idempotency AS i "
            "ON i.workspace = json_extract(asked.value, '$[0]') AND i.caller = json_extract(asked.value, '$[1]') "
            "AND i.key = json_extract(asked.value, '$[2]')",
            (orjson.dumps([list(claim.place) for claim in claims]).decode(),),
        )
        there = {row["run_id"] for row in rows}
        return [claim.run_id in there for claim in claims]

    async def _keep(self, write: Writing, kept: Sequence[tuple[Claim, Answer]]) -> Sequence[None]:
        await write.executemany(
            f"UPDATE idempotency SET status = ?, headers = ?, body = ? WHERE {_WHERE} AND run_id = ?",  # noqa: S608  # as above
            [
                (answer.status, orjson.dumps(answer.headers).decode(), answer.body, *claim.place, claim.run_id)
                for claim, answer in kept
            ],
        )
        return [None] * len(kept)

    async def _release(self, write: Writing, claims: Sequence[Claim]) -> Sequence[None]:
        await write.executemany(
            f"DELETE FROM idempotency WHERE {_WHERE} AND run_id = ?",  # noqa: S608  # as above
            [(*claim.place, claim.run_id) for claim in claims],
        )
        return [None] * len(claims)
