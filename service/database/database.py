"""The database: one connection that writes, one that reads, each in a thread of its own (aiosqlite).

What is written is on disk when its transaction has ended: the journal is a write-ahead log, and it is flushed. Readers
see the last state that was committed and wait for nobody. Several services may have the same file open; a writer waits
for the writer of another service for up to `held.BUSY_TIMEOUT_S`.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiosqlite
import structlog

from service.database.held import BUSY_TIMEOUT_S, Held, prepare
from service.database.migrations import Migration, folder, load
from service.errors import DatabaseUnavailable, DatabaseUnusable

Parameters = Sequence[Any]
Announce = Callable[[int], Awaitable[None]]
FAILURES = (sqlite3.Error, OSError, DatabaseUnusable)
"""Of a database that is opened and asked."""

_log = structlog.get_logger()


class Writing:
    """One transaction."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection
        self.last_change = 0
        """The number of the last change that was announced in it; 0 if there is none."""

    async def execute(self, sql: str, parameters: Parameters = ()) -> int:
        """Returns the number of rows that were changed."""
        async with self._connection.execute(sql, parameters) as cursor:
            return cursor.rowcount

    async def executemany(self, sql: str, rows: Iterable[Parameters]) -> None:
        """The same statement for each of these, in one go."""
        async with self._connection.executemany(sql, rows):
            pass

    async def rows(self, sql: str, parameters: Parameters = ()) -> list[sqlite3.Row]:
        """What is there, with what this transaction has written."""
        return list(await self._connection.execute_fetchall(sql, parameters))

    async def row(self, sql: str, parameters: Parameters = ()) -> sqlite3.Row | None:
        """The first of them."""
        rows = await self.rows(sql, parameters)
        return rows[0] if rows else None

    async def changed(self, topic: str, subject: str) -> None:
        """Let whoever keeps this in memory, in every service, know of it when the transaction has ended."""
        async with self._connection.execute(
            "INSERT INTO changes (topic, subject) VALUES (?, ?)", (topic, subject)
        ) as cursor:
            self.last_change = cursor.lastrowid or 0


class Database:
    """One SQLite file. Every failure of it is a DatabaseUnavailable."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.announce: Announce = _to_nobody
        """What is done with the number of a change that was committed: see `changes`."""
        self._troubles: dict[str, str] = {}
        self._writer: Held | None = None
        self._reader: Held | None = None
        self.turn = asyncio.Lock()
        """Held by who writes: one at a time, and nobody asks in vain."""

    @property
    def trouble(self) -> str:
        """Why it did not do what it was last asked for; empty if it did."""
        return "; ".join(self._troubles.values())

    async def open(self, migrations: Sequence[Migration] | None = None) -> None:
        """Make it if there is none, and bring its schema up to date. Raises: DatabaseUnusable."""
        steps = load(folder()) if migrations is None else migrations
        try:
            applied = await asyncio.to_thread(prepare, self.path, steps)
            self._writer = Held(self.path, steps, "PRAGMA synchronous = FULL")
            self._reader = Held(self.path, steps, "PRAGMA query_only = ON")
            await self._writer.current()
            await self._reader.current()
        except (sqlite3.Error, OSError) as error:
            await self.close()
            raise DatabaseUnusable(f"The database {self.path} cannot be opened: {error}.") from error
        except DatabaseUnusable as error:
            raise DatabaseUnusable(f"The database {self.path} cannot be used: {error}.") from None
        if applied:
            _log.info("database migrated", path=str(self.path), applied=applied)

    async def close(self) -> None:
        """Let go. May be called again."""
        (writer, self._writer), (reader, self._reader) = (self._writer, None), (self._reader, None)
        for connection in (reader, writer):  # the writer last: who closes last tidies the log up
            if connection is not None:
                with contextlib.suppress(sqlite3.Error):
                    await connection.close()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Writing]:
        """One transaction: all of it is on disk at the end, or nothing of it ever was. One at a time.

        Raises: DatabaseUnavailable. What the body raises goes through.
        """
        try:
            # No longer than for another service: who comes tenth would otherwise wait ten times as long.
            async with asyncio.timeout(BUSY_TIMEOUT_S):
                await self.turn.acquire()
        except TimeoutError:
            raise DatabaseUnavailable("The database does not answer: others have waited for it for long.") from None
        try:
            held = self._open(self._writer)
            with self._watched("writing", held):
                connection = await held.current()
                write = Writing(connection)
                await _finish(connection.execute("BEGIN IMMEDIATE"))
            try:
                with self._watched("writing", held, (sqlite3.Error,)):
                    yield write
                    await _finish(connection.execute("COMMIT"))
                self._works("writing")
            except BaseException:
                # Statements are done in order, so that whoever comes next begins after it.
                with contextlib.suppress(sqlite3.Error):
                    await _finish(connection.execute("ROLLBACK"))
                raise
        finally:
            self.turn.release()
        if write.last_change:
            await self.announce(write.last_change)

    async def rows(self, sql: str, parameters: Parameters = ()) -> list[sqlite3.Row]:
        """What was committed. Raises: DatabaseUnavailable."""
        held = self._open(self._reader)
        with self._watched("reading", held):
            rows = list(await (await held.current()).execute_fetchall(sql, parameters))
        self._works("reading")
        return rows

    async def row(self, sql: str, parameters: Parameters = ()) -> sqlite3.Row | None:
        """The first of them. Raises: DatabaseUnavailable."""
        rows = await self.rows(sql, parameters)
        return rows[0] if rows else None

    async def probe(self) -> None:
        """Whether it works again, which nobody may be about to ask. Raises: DatabaseUnavailable."""
        await self.row("SELECT 1 FROM migrations")
        async with self.writing() as write:
            # Writes a page, as an empty transaction would not.
            await write.execute("PRAGMA user_version = 0")

    @contextmanager
    def _watched(self, what: str, held: Held, failures: tuple[type[Exception], ...] = FAILURES) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError:
            raise  # what was asked for contradicts what is there: for whoever has asked
        except failures as error:
            held.doubt()
            if what not in self._troubles:
                _log.warning("database failed", path=str(self.path), what=what, reason=str(error))
            self._troubles[what] = f"{what} the database failed: {error}"
            raise DatabaseUnavailable(f"The database does not answer: {error}.") from error

    def _works(self, what: str) -> None:
        if self._troubles.pop(what, None) is not None:
            _log.info("database back", path=str(self.path), what=what)

    @staticmethod
    def _open(held: Held | None) -> Held:
        if held is None:
            raise DatabaseUnavailable("The database is not open.")
        return held


async def _to_nobody(_change: int) -> None:
    """For who has nobody to tell."""


async def _finish(statement: Any) -> None:
    """A beginning or an end of a transaction is seen through, whatever becomes of who has asked for it."""

    async def run() -> None:
        async with statement:
            pass

    task = asyncio.ensure_future(run())
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()
        raise
