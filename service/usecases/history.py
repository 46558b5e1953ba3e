"""The history: a record of every run that was let in. A run leaves an entry in a dictionary; the rest is for threads.

What cannot be written stays in memory and is tried again, up to a bound; beyond it the newest records are dropped and
counted. No run waits for any of this.
"""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import structlog

from service.database import runs
from service.database.database import Database
from service.database.direct import Direct
from service.database.held import BUSY_TIMEOUT_S
from service.domain.outcome import Outcome, Returned
from service.domain.record import Record, Status, Summary
from service.errors import DatabaseUnavailable
from service.metrics.observation import HistoryState
from service.usecases.recording import Encoder, Entry, shortened, size_of
from service.usecases.retention import Retention

ENTRIES_MAX: Final = 20_000
BYTES_MAX: Final = 32 * 1024 * 1024
BATCH_MAX: Final = 1024
"""Records of one transaction: other writers wait for no more than that."""
WRITE_EVERY_S: Final = 0.2
RETRY_EVERY_S: Final = 1.0
WRITE_WAIT_S: Final = 0.25
"""For another service that writes. Nothing is lost when it takes longer: the batch is written later."""
LIST_WAIT_S: Final = 0.1
"""A list waits so long for what is still to be written."""
LOG_DROPS_EVERY_S: Final = 60.0
CACHE_KIB: Final = 16 * 1024
CHECKPOINT_PAGES: Final = 2000

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
        self._large_bytes = result_max_bytes + logs_max_bytes
        pragmas = (f"PRAGMA cache_size = -{CACHE_KIB}", f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        self._writer = Direct(database.path, name="history", busy_timeout_s=WRITE_WAIT_S, pragmas=pragmas)
        self._reader = Direct(
            database.path, name="history-reads", busy_timeout_s=BUSY_TIMEOUT_S, pragmas=("PRAGMA query_only = ON",)
        )
        self._retention = Retention(database, self._writer, self._reader, retention_of)
        self._waiting: dict[str, Entry] = {}
        self._writing: dict[str, Entry] = {}
        self._bytes = 0
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
        waiting = self._waiting
        # The usual one is told by its type: a call for its size would cost as much as all the rest.
        size = len(outcome.result_json) if type(outcome) is Returned and not outcome.logs else size_of(outcome)
        is_cut = size > self._large_bytes
        if is_cut:
            outcome, size = shortened(outcome, self._encoder)
        if len(waiting) >= ENTRIES_MAX or self._bytes + size > BYTES_MAX:
            self._drop()
            return
        if not waiting:
            self._wake.set()
        self._bytes += size
        waiting[run_id] = (
            workspace,
            function,
            outcome,
            waited_ms,
            revision,
            key,
            time.time(),
            duration_ms,
            is_cut,
            size,
        )

    async def find(self, workspace: str, run_id: str) -> Record | None:
        """One run that is over, written or not. Raises: DatabaseUnavailable."""
        entry = self._waiting.get(run_id) or self._writing.get(run_id)
        if entry is not None:
            return self._encoder.record(run_id, entry) if entry[0] == workspace else None
        try:
            known_by = bytes.fromhex(run_id)
        except ValueError:
            return None
        if known_by.hex() != run_id:
            return None
        return await self._reader.do(runs.find, workspace, known_by)

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
            waiting=len(self._waiting) + len(self._writing),
        )

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
            if self._waiting:
                _log.warning("runs left out of the history", dropped=len(self._waiting), reason=self.trouble)
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
                self.dropped += len(self._writing)
                self._forget()
            if self._waiting:
                # What failed, and what came meanwhile: only the first of several wakes.
                self._wake.set()
            async with self._idle:
                self._idle.notify_all()
            if self._is_over:
                return

    async def _write_all(self) -> None:
        """Everything that waits now."""
        rounds = len(self._waiting) // BATCH_MAX + 1
        for _ in range(rounds):
            if not self._waiting:
                break
            self._take()
            batch = self._writing
            try:
                async with self._database.turn:
                    await self._writer.do(self._insert, batch)
            except DatabaseUnavailable as error:
                if not self.trouble:
                    _log.warning("history not written", reason=str(error), waiting=len(batch) + len(self._waiting))
                self.trouble = f"the history is not written: {error}"
                self._waiting, self._writing = {**batch, **self._waiting}, {}
                return
            self.written += len(batch)
            if self.trouble:
                _log.info("history written again", dropped=self.dropped)
                self.trouble = ""
            self._forget()

    def _insert(self, connection: sqlite3.Connection, batch: dict[str, Entry]) -> None:
        runs.insert(connection, self._encoder.rows(batch))

    def _take(self) -> None:
        if len(self._waiting) <= BATCH_MAX:
            self._writing, self._waiting = self._waiting, {}
            return
        self._writing = {run_id: self._waiting.pop(run_id) for run_id in list(self._waiting)[:BATCH_MAX]}

    def _forget(self) -> None:
        self._bytes -= sum(entry[-1] for entry in self._writing.values())
        self._writing = {}

    async def _settle(self) -> None:
        """What was recorded before is written after this, unless it takes too long."""
        goal = self.written + len(self._writing) + len(self._waiting)
        if self.trouble or self.written == goal:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LIST_WAIT_S), self._idle:
                while self.written < goal and not self.trouble:
                    self._hurry.set()
                    await self._idle.wait()

    def _drop(self) -> None:
        self.dropped += 1
        now = time.monotonic()
        if now - self._told_at >= LOG_DROPS_EVERY_S:
            self._told_at = now
            _log.warning(
                "runs left out of the history", dropped=self.dropped, reason=self.trouble or "too many at once"
            )
