"""Accepted runs on disk. Each step is there before the next begins; those of many runs share their transactions.

accepted    a row without `begun_ms`: whoever takes over runs it
begun       `begun_ms` is set: if its service dies now it is lost, since nobody knows how far it came
finished    in the history, and no row here, in one transaction
"""

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from service.database.database import Database, Writing
from service.database.group_commit import GroupCommit
from service.database.owners import Owner
from service.domain.jobs import Job
from service.domain.times import now_ms
from service.usecases.job_endings import Ending

Archive = Callable[[Writing, Sequence[Ending]], Awaitable[None]]
"""Writes endings to where they are looked up."""

_ALL: Final = "id, workspace, function, code, parameters, revision, key, callback, accepted_ms, begun_ms"


class JobStore:
    """The table of accepted runs. All of it raises DatabaseUnavailable."""

    def __init__(self, database: Database, group: GroupCommit, owner: Owner, archives: Sequence[Archive]) -> None:
        self._database = database
        self._group = group
        self._owner = owner
        self._archives = archives

    async def accept(self, job: Job) -> None:
        """It is on disk when this returns."""
        await self._group.do(self._insert, job)

    async def begin(self, job: Job) -> None:
        """It is about to be sent to a worker."""
        job.begun_ms = now_ms()
        await self._group.do(self._mark, job)

    async def put_back(self, job: Job) -> None:
        """It did not come to a worker after all."""
        job.begun_ms = None
        await self._group.do(self._mark, job)

    async def finish(self, ending: Ending) -> None:
        """It is over."""
        await self._group.do(self._end, ending)

    async def find(self, workspace: str, job_id: str) -> tuple[Job, str] | None:
        """An accepted run of any service on this database, and the name of its service."""
        row = await self._database.row(
            f"SELECT {_ALL}, owner FROM jobs WHERE id = ? AND workspace = ?",  # noqa: S608  # a constant
            (job_id, workspace),
        )
        return None if row is None else (_job(row), row["owner"])

    async def others(self) -> list[str]:
        """Services that have something here, this one left out."""
        rows = await self._database.rows("SELECT DISTINCT owner FROM jobs WHERE owner <> ?", (self._owner.name,))
        return [row["owner"] for row in rows]

    async def take_over(self, dead: str, lose: Callable[[Job], Ending]) -> list[Job]:
        """What a dead service has left: those that had begun are lost, the others are this service's and returned."""
        async with self._database.writing() as write:
            rows = await write.rows(
                f"SELECT {_ALL} FROM jobs WHERE owner = ? ORDER BY rowid",  # noqa: S608  # as above
                (dead,),
            )
            jobs = [_job(row) for row in rows]
            await self._end(write, [lose(job) for job in jobs if job.begun_ms is not None])
            await write.execute("UPDATE jobs SET owner = ? WHERE owner = ?", (self._owner.name, dead))
        return [job for job in jobs if job.begun_ms is None]

    async def _insert(self, write: Writing, jobs: Sequence[Job]) -> Sequence[None]:
        await write.executemany(
            f"INSERT INTO jobs ({_ALL}, owner) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608  # as above
            [
                (
                    job.id, job.workspace, job.function, job.code, job.parameters_json, job.revision, job.key,
                    job.callback, job.accepted_ms, None, self._owner.name,
                )
                for job in jobs
            ],
        )  # fmt: skip
        return [None] * len(jobs)

    async def _mark(self, write: Writing, jobs: Sequence[Job]) -> Sequence[None]:
        await write.executemany("UPDATE jobs SET begun_ms = ? WHERE id = ?", [(job.begun_ms, job.id) for job in jobs])
        return [None] * len(jobs)

    async def _end(self, write: Writing, endings: Sequence[Ending]) -> Sequence[None]:
        if endings:
            for archive in self._archives:
                await archive(write, endings)
            await write.executemany("DELETE FROM jobs WHERE id = ?", [(ending.job.id,) for ending in endings])
        return [None] * len(endings)


def _job(row: sqlite3.Row) -> Job:
    return Job(
        id=row["id"],
        workspace=row["workspace"],
        function=row["function"],
        code=row["code"],
        parameters_json=row["parameters"],
        revision=row["revision"],
        key=row["key"],
        callback=row["callback"],
        accepted_ms=row["accepted_ms"],
        begun_ms=row["begun_ms"],
    )
