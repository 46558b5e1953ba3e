"""Many small writes, each on disk before its caller goes on, in few transactions.

While one transaction is being flushed, whoever comes waits for the next, which takes all of them: the disk is asked as
often as it can answer, and not once for each caller.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import structlog

from service.database.database import Database, Writing
from service.errors import DatabaseUnavailable, SkepError

TOGETHER_MAX: Final = 512
"""So many in one transaction: the first of them waits for the last."""

Item = TypeVar("Item")
Result = TypeVar("Result")
Work = Callable[[Writing, Sequence[Item]], Awaitable[Sequence[Result]]]
"""Writes some of these, in order, and returns one result for each."""


_log = structlog.get_logger()


class _Entry(NamedTuple):
    work: Work[Any, Any]
    item: Any
    result: "asyncio.Future[Any]"


class GroupCommit:
    """Writes for everybody. Work that is written together shares its fate."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pending: list[_Entry] = []
        self._task: asyncio.Task[None] | None = None
        self.commits = 0

    async def do(self, work: Work[Item, Result], item: Item) -> Result:
        """It is on disk when this returns. A caller that is cancelled does not take it back. Raises:
        DatabaseUnavailable.
        """
        result: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._pending.append(_Entry(work, item, result))
        if self._task is None:
            self._task = asyncio.create_task(self._commit_all())
        return await result

    async def close(self) -> None:
        """Wait until all that was asked for is written."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _commit_all(self) -> None:
        try:
            while self._pending:
                # Whoever is ready to ask does so first.
                await asyncio.sleep(0)
                entries, self._pending = self._pending[:TOGETHER_MAX], self._pending[TOGETHER_MAX:]
                await self._commit(entries)
        finally:
            self._task = None

    async def _commit(self, entries: list[_Entry]) -> None:
        of: dict[Work[Any, Any], list[_Entry]] = {}
        for entry in entries:
            of.setdefault(entry.work, []).append(entry)
        done: list[tuple[_Entry, Any]] = []
        try:
            async with self._database.writing() as write:
                for work, asked in of.items():
                    results = await work(write, [entry.item for entry in asked])
                    done += zip(asked, results, strict=True)
        except SkepError as error:
            self._fail(entries, str(error))
        except Exception as error:  # noqa: BLE001  # what is wrong here is wrong for all of them, and for nobody else
            _log.exception("writes failed", together=len(entries))
            self._fail(entries, f"The database refused it: {type(error).__name__}.")
        else:
            self.commits += 1
            for entry, result in done:
                if not entry.result.done():
                    entry.result.set_result(result)

    @staticmethod
    def _fail(entries: list[_Entry], reason: str) -> None:
        for entry in entries:
            if not entry.result.done():
                entry.result.set_exception(DatabaseUnavailable(reason))
