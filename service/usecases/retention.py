"""What is too old, or too much, leaves the history: in small steps, each a transaction of some milliseconds."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from itertools import count
from typing import Final

import structlog

from service.database import run_order, runs
from service.database.database import Database
from service.database.direct import Direct
from service.errors import DatabaseUnavailable

LOOK_EVERY_S: Final = 5.0
"""For workspaces with too many runs; runs that are too old are looked for each `AGE_EVERY` times."""
AGE_EVERY: Final = 12
STEP_GROUPS: Final = 200
REST: Final = 3.0
"""A step is followed by so many times its own length of rest, but for `REST_MAX_S` at the most."""
REST_MAX_S: Final = 0.25
WORKSPACES: Final = 500
"""Looked at in one go."""
DAY_MS: Final = 86_400_000
FREE_PAGES: Final = 2000
"""So many unused pages stay in the file, for what is written next; beyond them it shrinks by `SHRINK_PAGES` a step."""
SHRINK_PAGES: Final = 100

_log = structlog.get_logger()


class Retention:
    """Looks at every workspace that has runs, now and then."""

    def __init__(
        self, database: Database, writer: Direct, reader: Direct, retention_of: Callable[[str], tuple[int, int]]
    ) -> None:
        self.expired = 0
        """Records deleted since the start."""
        self._database = database
        self._writer = writer
        self._reader = reader
        self._retention_of = retention_of

    async def keep_up(self) -> None:
        """Until it is cancelled."""
        with contextlib.suppress(DatabaseUnavailable):
            async with self._database.turn:
                await self._writer.do(run_order.recount)
        for number in count():
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                if self._database.trouble:
                    await self._database.probe()
                await self.look(at_age=number % AGE_EVERY == 0)
            except DatabaseUnavailable:
                continue  # whoever writes tells of it
            except Exception:  # noqa: BLE001  # a side task: it must not end, and nobody else would hear of it
                _log.exception("history not shortened")

    async def look(self, *, at_age: bool) -> None:
        """At all workspaces, once. Raises: DatabaseUnavailable."""
        after = ""
        while True:
            some = await self._reader.do(runs.workspaces, after=after, limit=WORKSPACES)
            for workspace, rows in some:
                await self._shorten(workspace, rows, at_age=at_age)
            if len(some) < WORKSPACES:
                break
            after = some[-1][0]
        await self._shrink()

    async def _shorten(self, workspace: str, rows: int, *, at_age: bool) -> None:
        days, rows_max = self._retention_of(workspace)
        before_ms = int(time.time() * 1000) - days * DAY_MS
        # Nearly always it is enough to see the oldest.
        if rows <= rows_max and not (at_age and await self._reader.do(runs.has_older, workspace, before_ms=before_ms)):
            return
        is_more = True
        while is_more:
            async with self._database.turn:
                began = time.monotonic()
                gone, is_more = await self._writer.do(
                    run_order.delete_oldest, workspace, before_ms=before_ms, keep=rows_max, limit=STEP_GROUPS
                )
            self.expired += gone
            await asyncio.sleep(min(REST_MAX_S, REST * (time.monotonic() - began)))

    async def _shrink(self) -> None:
        """Give back what the file does not need."""
        while True:
            async with self._database.turn:
                began = time.monotonic()
                if not await self._writer.do(run_order.shrink, keep=FREE_PAGES, step=SHRINK_PAGES):
                    return
            await asyncio.sleep(min(REST_MAX_S, REST * (time.monotonic() - began)))
