"""A connection with a thread of its own, for work that is more than one statement.

Each step of a statement gives the interpreter away and waits for it again, which under load is a millisecond: so what
is read or written in bulk is few large steps, and none of them goes through the event loop.

The file is held to its path each time: one that was deleted or replaced is let go, and what stands in its place is
opened, once it is a database. None is made here: a file that is missing may come back, and an empty one would look
like a service without keys.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from service.database.held import identity_of, uri_of
from service.errors import DatabaseUnavailable
from service.threads import started_threads

P = ParamSpec("P")
T = TypeVar("T")


class Direct:
    """One connection. Not durable: a commit survives the service, not the machine."""

    def __init__(self, path: Path, *, name: str, busy_timeout_s: float, pragmas: tuple[str, ...] = ()) -> None:
        self._path = path
        self._name = name
        self._busy_timeout_s = busy_timeout_s
        self._pragmas = pragmas
        self._thread: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None

    def open(self) -> None:
        """Start the thread, and connect there: what a service holds is the same from its start on.

        Where that fails, whoever asks for something is told so.
        """
        self._thread = started_threads(1, name=self._name)
        self._thread.submit(self._do, _look_at)

    async def close(self) -> None:
        """Let go when what was asked for is done. May be called again."""
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.get_running_loop().run_in_executor(thread, self._let_go)
            thread.shutdown(wait=False)

    async def do(self, work: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do this in the thread; a transaction it leaves open is rolled back. Raises: DatabaseUnavailable.

        What was begun is seen through, whatever becomes of who has asked for it.
        """
        if self._thread is None:
            raise DatabaseUnavailable("The database is not open.")
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, self._do, lambda connection: work(connection, *args, **kwargs)
        )

    def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return work(self._current())
        except (sqlite3.Error, OSError) as error:
            # Whatever it was, a connection that is opened anew knows nothing of it.
            self._let_go()
            raise DatabaseUnavailable(f"The database does not answer: {error}.") from error
        except BaseException:
            self._let_go()
            raise

    def _current(self) -> sqlite3.Connection:
        identity = identity_of(self._path)
        if self._connection is None or identity != self._identity:
            self._let_go()
            self._connection = sqlite3.connect(
                uri_of(self._path),
                uri=True,
                timeout=self._busy_timeout_s,
                isolation_level=None,
                check_same_thread=False,
            )
            self._identity = identity
            for pragma in ("PRAGMA synchronous = NORMAL", *self._pragmas):
                self._connection.execute(pragma)
        return self._connection

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()


def _look_at(connection: sqlite3.Connection) -> None:
    """The log beside the file is not opened before something is read."""
    connection.execute("PRAGMA schema_version").fetchone()
