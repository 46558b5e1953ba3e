"""What is kept in memory of the database, and how it follows when any service has changed it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import structlog

from service.database.counter import Counter
from service.database.database import Database
from service.errors import DatabaseUnavailable

KEPT: Final = 10_000
"""So many changes stay in the table. Who has slept through more of them reads everything anew."""
LOOK_EVERY_S: Final = 1.0
"""For who was ended between a commit and its announcement."""
RETRY_S: Final = 0.25

Reload = Callable[[str | None], Awaitable[None]]
"""Reads one subject of a topic, None for all of them."""

_log = structlog.get_logger()


class Changes:
    """The feed of changes. `is_behind` costs a tenth of a microsecond; `catch_up` is called when it is true."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._counter = Counter(Path(f"{database.path}-changes"))
        self._listeners: dict[str, list[Reload]] = {}
        self._seen = 0
        self._turn = asyncio.Lock()
        self._retry_at = 0.0
        database.announce = self._announce

    def listen(self, topic: str, reload: Reload) -> None:
        """Call this for each change of the topic, and once for everything when the feed opens. Before `running`."""
        self._listeners.setdefault(topic, []).append(reload)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Read everything, then follow. Raises: DatabaseUnavailable, DatabaseUnusable."""
        newest = await self._newest()
        self._counter.open(newest)
        try:
            await self._align(newest)
            look = asyncio.create_task(self._look())
            try:
                yield
            finally:
                look.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await look
        finally:
            self._counter.close()

    @property
    def is_behind(self) -> bool:
        """Whether somebody has announced a change that was not looked at."""
        return self._counter.value > self._seen

    async def catch_up(self) -> None:
        """Follow what was committed before this was called. Where the database does not answer, what is known stays."""
        if asyncio.get_running_loop().time() < self._retry_at:
            return
        async with self._turn:
            if not self.is_behind:
                return
            try:
                await self._follow()
            except DatabaseUnavailable:
                self._retry_at = asyncio.get_running_loop().time() + RETRY_S

    async def _announce(self, number: int) -> None:
        # Nobody holds its lock for longer than it takes to write eight bytes.
        self._counter.raise_to(number)
        await self.catch_up()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                newest = await self._newest()
                if newest > self._seen:
                    self._counter.raise_to(newest)
                    await self.catch_up()
                elif self.is_behind:
                    await self._align(newest)
            except DatabaseUnavailable:
                continue
            except Exception:  # noqa: BLE001  # a side task: it must not end, and nobody else would hear of it
                _log.exception("changes not followed")

    async def _follow(self) -> None:
        rows = await self._database.rows(
            "SELECT id, topic, subject FROM changes WHERE id > ? ORDER BY id", (self._seen,)
        )
        if not rows:
            # Announced and not there: a backup was restored, which `_look` finds out.
            self._retry_at = asyncio.get_running_loop().time() + RETRY_S
            return
        if rows[0]["id"] == self._seen + 1:
            for topic, subject in dict.fromkeys((row["topic"], row["subject"]) for row in rows):
                await self._tell(topic, subject)
        else:
            await self._reload_all()
        self._seen = rows[-1]["id"]
        if self._seen // KEPT != (rows[0]["id"] - 1) // KEPT:
            async with self._database.writing() as write:
                await write.execute("DELETE FROM changes WHERE id <= ?", (self._seen - KEPT,))

    async def _align(self, newest: int) -> None:
        """Read everything. Where the database counts from less than was announced, since it was restored from a backup,
        it goes on from there: what is still to come must be new to everybody.
        """
        announced = self._counter.value
        if newest < announced:
            async with self._database.writing() as write:
                await write.execute("INSERT INTO changes (id, topic, subject) VALUES (?, 'restored', '')", (announced,))
        self._seen = max(newest, announced)
        await self._reload_all()

    async def _reload_all(self) -> None:
        for topic in self._listeners:
            await self._tell(topic, None)

    async def _tell(self, topic: str, subject: str | None) -> None:
        for reload in self._listeners.get(topic, ()):
            await reload(subject)

    async def _newest(self) -> int:
        row = await self._database.row("SELECT max(id) AS newest FROM changes")
        return 0 if row is None or row["newest"] is None else int(row["newest"])
