"""A connection that is held to its path: opened anew after a failure, and when another file stands there.

A file that is missing is not made here: it may come back, and an empty one would be a service without keys.
"""

import asyncio
import contextlib
import os
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

import aiosqlite

from service.database.migrations import Migration, migrate

BUSY_TIMEOUT_S: Final = 5.0
FILE_MODE: Final = 0o600
"""What is in it is for the service alone: hashes of keys, results of runs."""


class Held:
    """One connection of a database that `prepare` has seen."""

    def __init__(self, path: Path, migrations: Sequence[Migration], *pragmas: str) -> None:
        self._path = path
        self._migrations = migrations
        self._pragmas = pragmas
        self._connection: aiosqlite.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._is_doubtful = False
        self._renewing = asyncio.Lock()

    def doubt(self) -> None:
        """It has failed: the next one who asks gets another."""
        self._is_doubtful = True

    async def current(self) -> aiosqlite.Connection:
        """A connection to what stands at the path. Raises: sqlite3.Error, OSError, DatabaseUnusable."""
        identity = identity_of(self._path)
        if self._connection is None or self._is_doubtful or identity != self._identity:
            async with self._renewing:
                if self._connection is None or self._is_doubtful or identity != self._identity:
                    return await self._renew(identity)
        return self._connection

    async def close(self) -> None:
        """Let go. May be called again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                await connection.close()

    async def _renew(self, identity: tuple[int, int]) -> aiosqlite.Connection:
        await self.close()
        if self._identity not in {None, identity}:
            # A backup, perhaps, of an older version.
            await asyncio.to_thread(prepare, self._path, self._migrations, create=False)
        connection = await aiosqlite.connect(uri_of(self._path), uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        try:
            connection.row_factory = sqlite3.Row
            for pragma in ("PRAGMA foreign_keys = ON", *self._pragmas):
                await connection.execute(pragma)
        except BaseException:
            await connection.close()
            raise
        self._connection, self._identity, self._is_doubtful = connection, identity, False
        return connection


def prepare(path: Path, migrations: Sequence[Migration], *, create: bool = True) -> int:
    """Bring a file up to date; returns how many migrations were applied.

    Raises: sqlite3.Error, OSError, DatabaseUnusable.
    """
    if create:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, FILE_MODE))
    connection = sqlite3.connect(uri_of(path), uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None)
    try:
        # So that the file can shrink. It says nothing to one that has tables already.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        _log_ahead(connection)
        connection.execute("PRAGMA synchronous = FULL")
        return migrate(connection, migrations)
    finally:
        connection.close()


def _log_ahead(connection: sqlite3.Connection) -> None:
    """Of services that start at once one changes the mode. SQLite does not wait for that, as it does for a write."""
    until = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                raise
            time.sleep(0.01)  # in a thread: see `Database.open`
        else:
            return


def identity_of(path: Path) -> tuple[int, int]:
    """Tells this file from every other. Raises: OSError."""
    status = os.stat(path)  # noqa: PTH116  # twice as fast as Path's
    return status.st_dev, status.st_ino


def uri_of(path: Path) -> str:
    """For sqlite3, which makes no file then."""
    return f"file:{quote(str(path.absolute()))}?mode=rw"
