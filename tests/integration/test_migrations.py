"""Migrations: from every version there was, interrupted, edited, by two services at once, and of a newer service."""

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from service.database.database import Database
from service.database.migrations import Migration, folder, load, migrate
from service.errors import DatabaseUnusable
from tests.skep import running_skep

STEPS = load(folder())
SLOW = Migration(
    9000,
    "slow",
    "CREATE TABLE half (a INTEGER);\nINSERT INTO half VALUES (1);\nSELECT wait();\nCREATE TABLE whole (a INTEGER);\n",
)
"""Says that it is half-way, and waits there for ever if somebody has seen to that."""
INTERRUPTED = """
import sqlite3, sys, threading
from tests.integration.test_migrations import SLOW, STEPS
from service.database.migrations import migrate
def wait():
    print("half-way", flush=True)
    threading.Event().wait()
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode = WAL")
connection.create_function("wait", 0, wait)
migrate(connection, [*STEPS, SLOW])
"""


def apply(path: Path, steps: list[Migration]) -> int:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.create_function("wait", 0, lambda: 0)
        return migrate(connection, steps)


def schema(path: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall()


def applied(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as connection:
        return [number for (number,) in connection.execute("SELECT number FROM migrations ORDER BY number")]


async def open_and_close(path: Path, steps: list[Migration] | None = None) -> None:
    database = Database(path)
    await database.open(steps)
    await database.close()


@pytest.mark.parametrize("count", range(len(STEPS) + 1))
async def test_from_every_earlier_version_comes_the_same_schema(tmp_path: Path, count: int) -> None:
    whole, path = tmp_path / "whole.db", tmp_path / "skep.db"
    await open_and_close(whole)
    apply(path, STEPS[:count])
    await open_and_close(path)
    assert schema(path) == schema(whole)
    assert applied(path) == [step.number for step in STEPS]


async def test_an_empty_file_is_a_database_that_is_still_to_be_made(tmp_path: Path) -> None:
    path = tmp_path / "skep.db"
    path.touch()
    await open_and_close(path)
    assert applied(path) == [step.number for step in STEPS]


def test_a_service_that_is_killed_within_a_migration_has_not_begun_it(tmp_path: Path) -> None:
    path = tmp_path / "skep.db"
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED, str(path)], stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"half-way\n"
        process.send_signal(signal.SIGKILL)
    assert applied(path) == [step.number for step in STEPS]
    assert "half" not in dict(schema(path))
    assert apply(path, [*STEPS, SLOW]) == 1
    assert {"half", "whole"} <= dict(schema(path)).keys()


async def test_a_migration_that_fails_leaves_nothing_and_the_ones_before_it_stand(tmp_path: Path) -> None:
    path = tmp_path / "skep.db"
    broken = Migration(9000, "broken", "CREATE TABLE half (a INTEGER);\nINSERT INTO nowhere VALUES (1);\n")
    with pytest.raises(DatabaseUnusable, match="nowhere"):
        await open_and_close(path, [*STEPS, broken])
    assert applied(path) == [step.number for step in STEPS]
    assert "half" not in dict(schema(path))
    await open_and_close(path)


async def test_a_migration_that_was_edited_since_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "skep.db"
    await open_and_close(path)
    files = tmp_path / "migrations"
    shutil.copytree(folder(), files)
    edited = min(files.glob("*.sql"))
    edited.write_text(f"{edited.read_text()}-- edited\n")
    before = schema(path)
    with pytest.raises(DatabaseUnusable, match=f"{edited.stem} is not the one that was applied"):
        await open_and_close(path, load(files))
    assert schema(path) == before


def test_a_database_of_a_newer_version_is_refused_by_the_service_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "skep.db"
    apply(path, [*STEPS, SLOW])
    with pytest.raises(AssertionError, match="made by a newer version of Skep"), running_skep(tmp_path):
        pass


async def test_what_is_no_database_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "skep.db"
    path.write_bytes(b"this is no database" * 1000)
    with pytest.raises(DatabaseUnusable, match="is not a database"):
        await open_and_close(path)
    assert path.read_bytes() == b"this is no database" * 1000


async def test_two_services_that_start_at_once_migrate_once(tmp_path: Path) -> None:
    path = tmp_path / "skep.db"
    program = (
        "import sqlite3, sys; from pathlib import Path; from service.database.held import prepare; "
        "from service.database.migrations import folder, load; steps = load(folder()); "
        "print('ready', flush=True); sys.stdin.readline(); print(prepare(Path(sys.argv[1]), steps))"
    )
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, str(path), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
    answers = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
    assert sum(int(output) for output, _ in answers) == len(STEPS)
    assert [process.returncode for process in processes] == [os.EX_OK] * 4
