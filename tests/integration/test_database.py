"""The database by itself: transactions, and what services on one file tell each other."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from service.database.audit import Actor, append
from service.database.changes import Changes
from service.database.database import Database, Writing
from service.errors import DatabaseUnavailable


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Database]:
    database = Database(path)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


class Follower:
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[str | None] = []

    async def reload(self, subject: str | None) -> None:
        self.told.append(subject)


@asynccontextmanager
async def following(path: Path) -> AsyncIterator[tuple[Database, Changes, Follower]]:
    async with opened(path) as database:
        changes, follower = Changes(database), Follower()
        changes.listen("topic", follower.reload)
        async with changes.running():
            yield database, changes, follower


async def undone(database: Database, work: Callable[[Writing], Awaitable[None]]) -> None:
    async with database.writing() as write:
        await work(write)
        raise ZeroDivisionError


def is_behind(changes: Changes) -> bool:
    return changes.is_behind


ACTOR = Actor("tester", "127.0.0.1")


async def test_a_transaction_that_fails_leaves_nothing_and_the_next_one_works(tmp_path: Path) -> None:
    async with opened(tmp_path / "skep.db") as database:
        with pytest.raises(ZeroDivisionError):
            await undone(database, lambda write: append(write, ACTOR, "first.done"))
        async with database.writing() as write:
            await append(write, ACTOR, "second.done", details={"a": 1})
        rows = await database.rows("SELECT action FROM audit")
        assert [row["action"] for row in rows] == ["second.done"]
        assert not database.trouble


async def test_a_transaction_whose_task_is_cancelled_leaves_nothing_and_the_next_one_works(tmp_path: Path) -> None:
    async with opened(tmp_path / "skep.db") as database:
        begun = asyncio.Event()

        async def write_for_ever() -> None:
            async with database.writing() as write:
                await append(write, ACTOR, "first.done")
                begun.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(write_for_ever())
        await begun.wait()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        async with database.writing() as write:
            assert await write.rows("SELECT * FROM audit") == []


async def test_the_audit_log_is_append_only(tmp_path: Path) -> None:
    async with opened(tmp_path / "skep.db") as database:
        async with database.writing() as write:
            await append(write, ACTOR, "first.done")
        for statement in ("DELETE FROM audit", "UPDATE audit SET key = 'somebody else'"):
            with pytest.raises(Exception, match="append-only"):
                async with database.writing() as write:
                    await write.execute(statement)
        assert len(await database.rows("SELECT * FROM audit WHERE key = 'tester'")) == 1


async def test_a_change_is_told_to_every_service_when_it_is_committed_and_not_before(tmp_path: Path) -> None:
    path = tmp_path / "skep.db"
    async with following(path) as (here, _, follower), following(path) as (_, there_changes, there):
        with pytest.raises(ZeroDivisionError):
            await undone(here, lambda write: write.changed("topic", "undone"))
        assert is_behind(there_changes) is False
        async with here.writing() as write:
            await write.changed("topic", "done")
            await write.changed("another topic", "of no interest")
        assert follower.told == [None, "done"]
        assert is_behind(there_changes) is True
        await there_changes.catch_up()
        assert there.told == [None, "done"]
        assert is_behind(there_changes) is False


async def test_whoever_opens_a_database_that_was_restored_from_a_backup_hears_of_what_comes(tmp_path: Path) -> None:
    path, backup = tmp_path / "skep.db", tmp_path / "backup.db"
    async with opened(path):
        pass
    backup.write_bytes(path.read_bytes())
    async with following(path) as (database, _, _):
        for number in range(3):
            async with database.writing() as write:
                await write.changed("topic", str(number))
    path.write_bytes(backup.read_bytes())
    async with following(path) as (_, changes, follower), following(path) as (there, _, _):
        async with there.writing() as write:
            await write.changed("topic", "new")
        assert changes.is_behind
        await changes.catch_up()
        assert follower.told[-1] == "new"


async def test_a_database_that_is_closed_says_so(tmp_path: Path) -> None:
    database = Database(tmp_path / "skep.db")
    with pytest.raises(DatabaseUnavailable):
        await database.rows("SELECT 1")
