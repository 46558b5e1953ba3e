"""Small writes of many together, and who of the services on one database is alive."""

import asyncio
import multiprocessing
from collections.abc import Sequence
from pathlib import Path

import pytest

from service.database.database import Database, Writing
from service.database.group_commit import GroupCommit
from service.database.owners import Owner
from service.errors import DatabaseUnavailable


async def add(write: Writing, numbers: Sequence[int]) -> Sequence[int]:
    await write.executemany("INSERT INTO numbers VALUES (?)", [(number,) for number in numbers])
    return [2 * number for number in numbers]


async def test_writes_that_come_together_share_their_commits_and_each_hears_its_own_result(tmp_path: Path) -> None:
    database = Database(tmp_path / "skep.db")
    await database.open()
    try:
        async with database.writing() as write:
            await write.execute("CREATE TABLE numbers (number INTEGER)")
        group = GroupCommit(database)
        results = await asyncio.gather(*(group.do(add, number) for number in range(200)))
        assert results == [2 * number for number in range(200)]
        assert group.commits <= 3
        row = await database.row("SELECT count(*) AS count FROM numbers")
        assert row is not None
        assert row["count"] == 200
    finally:
        await database.close()


async def test_a_caller_that_leaves_takes_nothing_back_and_a_failure_is_told_to_all(tmp_path: Path) -> None:
    database = Database(tmp_path / "skep.db")
    await database.open()
    try:
        group = GroupCommit(database)
        failing = [asyncio.create_task(group.do(add, number)) for number in range(3)]
        for task in failing:
            with pytest.raises(DatabaseUnavailable):
                await task
        async with database.writing() as write:
            await write.execute("CREATE TABLE numbers (number INTEGER)")
        task = asyncio.create_task(group.do(add, 1))
        await asyncio.sleep(0)
        task.cancel()
        await group.close()
        assert len(await database.rows("SELECT * FROM numbers")) == 1
    finally:
        await database.close()


def _live(path: Path, name: "multiprocessing.Queue[str]") -> None:
    owner = Owner(path)
    owner.open()
    name.put(owner.name)
    multiprocessing.Event().wait()


def test_a_service_is_alive_until_its_process_ends(tmp_path: Path) -> None:
    path = tmp_path / "skep.db"
    owner = Owner(path)
    owner.open()
    try:
        context = multiprocessing.get_context("spawn")
        names: multiprocessing.Queue[str] = context.Queue()
        process = context.Process(target=_live, args=(path, names), daemon=True)
        process.start()
        other = names.get(timeout=30)
        assert owner.is_alive(owner.name)
        assert owner.is_alive(other)
        assert owner.has_others()
        process.kill()
        process.join()
        assert not owner.is_alive(other)
        assert not owner.has_others()
        assert not owner.is_alive("../../etc/passwd")
    finally:
        owner.close()
    assert not owner.is_alive(owner.name)
