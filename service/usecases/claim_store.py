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
from service.errors import TooMany

PURGE_TOGETHER: Final = 500
LET_GO_TOGETHER: Final = 100
FULL_RETRY_AFTER_S: Final = 60
"""So often keys are forgotten that are a day old."""
_WHERE: Final = "workspace = ? AND caller = ? AND key = ?"


class ClaimStore:
    """The table of keys: at most so many of a workspace, and so many bytes of their answers. All of it raises
    DatabaseUnavailable.
    """

    def __init__(self, database: Database, group: GroupCommit, owner: Owner, *, most: int, max_bytes: int) -> None:
        self._database = database
        self._group = group
        self._owner = owner
        self._most = most
        self._max_bytes = max_bytes

    async def claim(self, claim: Claim) -> bool:
        """Whether the key was free, and is now this one's: that is on disk. Raises: TooMany."""
        holder = await self._group.do(self._claim, claim)
        if holder is None:
            raise TooMany(
                f"{self._most} Idempotency-Keys of this workspace were used within a day; no more may be.",
                retry_after_s=FULL_RETRY_AFTER_S,
            )
        return holder == claim.run_id

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

    async def _claim(self, write: Writing, claims: Sequence[Claim]) -> Sequence[str | None]:
        """The run that each key belongs to; None where it is free and there are too many."""
        now = now_ms()
        await write.executemany(
            f"DELETE FROM idempotency WHERE {_WHERE} AND claimed_ms < ?",  # noqa: S608  # as above
            [(*claim.place, now - DAY_MS) for claim in claims],
        )
        await write.executemany(
            "INSERT INTO idempotency (workspace, caller, key, fingerprint, run_id, is_job, owner, claimed_ms) "
            "SELECT ?, ?, ?, ?, ?, ?, ?, ? WHERE coalesce("
            "(SELECT rows FROM idempotency_sizes WHERE workspace = ?), 0) < ? ON CONFLICT DO NOTHING",
            [
                (
                    *claim.place, claim.fingerprint, claim.run_id, int(claim.is_job), self._owner.name, now,
                    claim.place.workspace, self._most,
                )
                for claim in claims
            ],
        )  # fmt: skip
        # By the keys, since there is no index of runs; whose run is there has the key.
        rows = await write.rows(
            "SELECT i.workspace, i.caller, i.key, i.run_id FROM json_each(?) AS asked JOIN idempotency AS i "
            "ON i.workspace = json_extract(asked.value, '$[0]') AND i.caller = json_extract(asked.value, '$[1]') "
            "AND i.key = json_extract(asked.value, '$[2]')",
            (orjson.dumps([list(claim.place) for claim in claims]).decode(),),
        )
        holders = {Place(row["workspace"], row["caller"], row["key"]): row["run_id"] for row in rows}
        return [holders.get(claim.place) for claim in claims]

    async def _keep(self, write: Writing, kept: Sequence[tuple[Claim, Answer]]) -> Sequence[None]:
        await write.executemany(
            f"UPDATE idempotency SET status = ?, headers = ?, body = ? WHERE {_WHERE} AND run_id = ?",  # noqa: S608  # as above
            [
                (answer.status, orjson.dumps(answer.headers).decode(), answer.body, *claim.place, claim.run_id)
                for claim, answer in kept
            ],
        )
        for workspace in {claim.place.workspace for claim, _ in kept}:
            await self._let_go(write, workspace)
        return [None] * len(kept)

    async def _let_go(self, write: Writing, workspace: str) -> None:
        """Where the answers of a workspace are too large together the oldest go; their keys stay taken."""
        row = await write.row("SELECT bytes FROM idempotency_sizes WHERE workspace = ?", (workspace,))
        excess = 0 if row is None else row["bytes"] - self._max_bytes
        while excess > 0:
            rows = await write.rows(
                "SELECT caller, key, length(headers) + length(body) AS size FROM idempotency "
                "WHERE workspace = ? AND body IS NOT NULL ORDER BY claimed_ms LIMIT ?",
                (workspace, LET_GO_TOGETHER),
            )
            gone = []
            for row in rows:
                if excess > 0:
                    excess -= row["size"]
                    gone.append((workspace, row["caller"], row["key"]))
            if not gone:
                return
            await write.executemany(f"UPDATE idempotency SET headers = NULL, body = NULL WHERE {_WHERE}", gone)  # noqa: S608  # as above

    async def _release(self, write: Writing, claims: Sequence[Claim]) -> Sequence[None]:
        await write.executemany(
            f"DELETE FROM idempotency WHERE {_WHERE} AND run_id = ?",  # noqa: S608  # as above
            [(*claim.place, claim.run_id) for claim in claims],
        )
        return [None] * len(claims)
