"""The history: a record of every run that was let in. A run leaves its record in a batch; the rest is for threads.

What cannot be written stays in memory and is tried again, up to a bound; beyond it the newest records are dropped and
counted. No run waits for any of this.
"""

import asyncio
import contextlib
import re
import sqlite3
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import structlog

from service.database import run_groups, runs
from service.database.database import Database
from service.database.direct import Direct
from service.database.held import BUSY_TIMEOUT_S
from service.database.run_groups import Batch
from service.domain.outcome import Outcome, Returned
from service.domain.record import Record, Status, Summary
from service.errors import DatabaseUnavailable
from service.metrics.observation import HistoryState
from service.usecases.recording import SUCCEEDED, Encoder
from service.usecases.retention import Retention

BATCH_MAX: Final = 512
BATCH_MAX_BYTES: Final = 1024 * 1024
"""Records of one transaction, and what they hold: other services wait for no more than that."""
BATCHES_MAX: Final = 40
BYTES_MAX: Final = 40 * 1024 * 1024
"""So many wait, and so much, beside the one that is being filled."""
WRITE_EVERY_S: Final = 0.2
RETRY_EVERY_S: Final = 1.0
WRITE_WAIT_S: Final = 0.25
"""For another service that writes. Nothing is lost when it takes longer: the batch is written later."""
LIST_WAIT_S: Final = 0.1
"""A list waits so long for what is still to be written."""
LOG_DROPS_EVERY_S: Final = 60.0
CACHE_KIB: Final = 16 * 1024
CHECKPOINT_PAGES: Final = 2000

_ID: Final = re.compile("[0-9a-f]{32}")
_log = structlog.get_logger()


class History:
    """Records, and what is asked of them."""

    def __init__(  # noqa: PLR0913  # what is kept, for how long, where
        self, database: Database, *, is_kept: bool, result_max_bytes: int, logs_max_bytes: int,
        retention_of: Callable[[str], tuple[int, int]], envelope: Callable[[Outcome], bytes],
    ) -> None:  # fmt: skip
        """`retention_of` a workspace is days and rows; `envelope` is what a failed run answers, without its logs."""
        self.written = self.dropped = 0
        """Records, since the start."""
        self.trouble = ""
        """Why the last batch was not written; empty if it was."""
        self._database = database
        self._is_kept = is_kept
        self._encoder = Encoder(envelope, result_max_bytes=result_max_bytes, logs_max_bytes=logs_max_bytes)
        self._result_max_bytes = result_max_bytes
        pragmas = (f"PRAGMA cache_size = -{CACHE_KIB}", f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        self._writer = Direct(database.path, name="history", busy_timeout_s=WRITE_WAIT_S, pragmas=pragmas)
        self._reader = Direct(
            database.path, name="history-reads", busy_timeout_s=BUSY_TIMEOUT_S, pragmas=("PRAGMA query_only = ON",)
        )
        self._retention = Retention(database, self._writer, self._reader, retention_of)
        self._batch = Batch()
        """What comes next goes here."""
        self._full: deque[Batch] = deque()
        """To be written, the oldest first."""
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self._idle = asyncio.Condition()
        self._is_over = False
        self._told_at = -LOG_DROPS_EVERY_S

    def record(  # noqa: PLR0913, PLR0917  # by position, since this is paid by every run
        self, run_id: str, workspace: str, function: str, outcome: Outcome | None, waited_ms: float = 0.0,
        revision: int | None = None, key: str = "", duration_ms: float | None = None,
    ) -> None:  # fmt: skip
        """A run is over; None for one that was cancelled. Its secrets are masked already.

        `waited_ms` is all the time before it began; `duration_ms` that of a cancelled one, if it had begun.
        """
        if not self._is_kept:
            return
        batch, ended_ms = self._batch, time.time() * 1000
        if not batch.count:
            self._wake.set()
        try:
            # The usual one is told by its type: to ask for what others have takes as long as all the rest.
            if type(outcome) is Returned and not outcome.logs and len(outcome.result_json) <= self._result_max_bytes:
                duration_ms = outcome.duration_ms
                batch.add(
                    run_id, workspace, function, SUCCEEDED, revision, key, int(ended_ms - duration_ms - waited_ms),
                    int(ended_ms), duration_ms, False, outcome.result_json, None,
                )  # fmt: skip
            else:
                row = self._encoder.row(
                    run_id, workspace, function, outcome, waited_ms, revision, key, duration_ms, ended_ms
                )
                batch.add(*row)
        except Exception as error:  # noqa: BLE001  # ours, and no run is to end with it
            self._drop(repr(error))
        if batch.count >= BATCH_MAX or batch.bytes > BATCH_MAX_BYTES:
            self._close_batch()

    async def find(self, workspace: str, run_id: str) -> Record | None:
        """One run that is over, written or not. Raises: DatabaseUnavailable."""
        for batch in (self._batch, *self._full):
            if (record := batch.find(workspace, run_id)) is not None:
                return record
        if _ID.fullmatch(run_id) is None:
            return None
        return await self._reader.do(runs.find, workspace, run_id)

    async def page(
        self, workspace: str, *, function: str | None, status: Status | None, before: int | None, limit: int
    ) -> list[tuple[int, Summary]]:
        """The newest runs and their numbers; those before a number, if one is given. Raises: DatabaseUnavailable."""
        await self._settle()
        return await self._reader.do(runs.page, workspace, function=function, status=status, before=before, limit=limit)

    async def has_any(self, workspace: str) -> bool:
        """Whether there is a run of this workspace. Raises: DatabaseUnavailable."""
        return await self._reader.do(runs.has_any, workspace)

    def state(self) -> HistoryState:
        """For the metrics."""
        return HistoryState(
            is_up=not (self.trouble or self._database.trouble),
            written=self.written,
            dropped=self.dropped,
            expired=self._retention.expired,
            waiting=self._left,
        )

    @property
    def _left(self) -> int:
        return sum([batch.count for batch in (self._batch, *self._full)])

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write what is recorded and delete what is too old, until the end; what is left then is written."""
        self._writer.open()
        self._reader.open()
        writing, tidying = asyncio.create_task(self._keep_writing()), asyncio.create_task(self._retention.keep_up())
        try:
            yield
        finally:
            tidying.cancel()
            self._is_over = True
            self._wake.set()
            self._hurry.set()
            await asyncio.wait([writing, tidying])
            if self._left:
                _log.warning("runs left out of the history", dropped=self._left, reason=self.trouble)
            await self._writer.close()
            await self._reader.close()

    async def _keep_writing(self) -> None:
        while True:
            await self._wake.wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RETRY_EVERY_S if self.trouble else WRITE_EVERY_S):
                    await self._hurry.wait()
            self._hurry.clear()
            self._wake.clear()
            try:
                await self._write_all()
            except Exception:  # noqa: BLE001  # a side task: it must not end, and nobody else would hear of it
                _log.exception("history not written")
            if self._left:
                # What failed, and what came meanwhile: only the first of several wakes.
                self._wake.set()
            async with self._idle:
                self._idle.notify_all()
            if self._is_over:
                return

    async def _write_all(self) -> None:
        """Everything that waits now."""
        # One that is not full is kept open while the others cannot be written: there is room for so many batches.
        if self._batch.count and len(self._full) < (1 if self.trouble else BATCHES_MAX):
            self._close_batch()
        try:
            async with self._database.turn:
                await self._writer.do(self._insert)
        except DatabaseUnavailable as error:
            if not self.trouble:
                _log.warning("history not written", reason=str(error), waiting=self._left)
            self.trouble = f"the history is not written: {error}"
            return
        if self.trouble:
            _log.info("history written again", dropped=self.dropped)
            self.trouble = ""

    def _insert(self, connection: sqlite3.Connection) -> None:
        """All in one go, in the thread: each way between it and the event loop costs runs some time."""
        for _ in range(len(self._full)):
            batch = self._full[0]
            try:
                run_groups.insert(connection, batch)
            except (sqlite3.Error, OSError):
                raise  # it is tried again as it is: it may be there, and only the end of writing it have failed
            except Exception:  # noqa: BLE001  # ours, and the next ones are as good as any
                _log.exception("history not written")
                self.dropped += batch.count
            else:
                self.written += batch.count
            self._full.popleft()

    def _close_batch(self) -> None:
        batch, self._batch = self._batch, Batch()
        waiting = list(self._full)  # the thread takes from it
        if len(waiting) < BATCHES_MAX and sum([one.bytes for one in waiting]) + batch.bytes <= BYTES_MAX:
            self._full.append(batch)
        else:
            self._drop(self.trouble or "too many at once", batch.count)

    async def _settle(self) -> None:
        """What was recorded before is written after this, unless it takes too long."""
        goal = self.written + self._left
        if self.trouble or self.written == goal:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LIST_WAIT_S), self._idle:
                while self.written < goal and not self.trouble:
                    self._hurry.set()
                    await self._idle.wait()

    def _drop(self, reason: str, count: int = 1) -> None:
        self.dropped += count
        now = time.monotonic()
        if now - self._told_at >= LOG_DROPS_EVERY_S:
            self._told_at = now
            _log.warning("runs left out of the history", dropped=self.dropped, reason=reason)
