"""Callbacks of finished runs: on disk with the end of the run, sent until they are taken or it was tried often enough.

At least once: an answer that is lost, or a service that dies before it has written down that it was taken, means that
it is sent again. The id of the run tells the receiver.
"""

import asyncio
import contextlib
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final, Literal

import msgspec
import structlog

from service.database import readings
from service.database.audit import Actor
from service.database.database import Database, Writing
from service.database.group_commit import GroupCommit
from service.database.owners import Owner
from service.domain.egress import Rules
from service.domain.fetching import Allowance, Budget, Fetcher, FetchRequest, Response
from service.domain.signing import HEADER, secret_of, sign
from service.domain.times import now_ms
from service.errors import DatabaseUnavailable, SkepError
from service.usecases.job_endings import Ending
from service.usecases.run_view import told

ATTEMPTS_MAX: Final = 8
PAUSES_S: Final = (1, 4, 16, 64, 256, 1024, 3600)
"""After each attempt that failed; a fifth more or less, so that not all come back at once."""
TIMEOUT_S: Final = 10.0
AT_ONCE: Final = 32
AT_ONCE_OF_A_WORKSPACE: Final = 4
ANSWER_MAX_BYTES: Final = 256 * 1024
PART_MAX_BYTES: Final = 256 * 1024
"""Of the result, of the error, and of the logs."""
PENDING_MAX_BYTES: Final = 16 * 2**20
"""Of what a workspace has to tell; what comes beyond it is told without its result, error and logs."""
LOOK_EVERY_S: Final = 1.0

NetworkOf = Callable[[str], Awaitable[Rules | None]]
"""The rules a workspace has of its own, of what it may reach. Raises: SkepError."""

_log = structlog.get_logger()


class DeliveryState(msgspec.Struct, frozen=True):
    """How far a callback has come."""

    status: Literal["pending", "delivered", "failed"]
    attempts: int


class Webhooks:
    """The callbacks of this service."""

    def __init__(  # noqa: PLR0913  # where they are kept, how they get out
        self,
        database: Database,
        group: GroupCommit,
        owner: Owner,
        fetch: Fetcher,
        network_of: NetworkOf,
        *,
        secret: bytes,
    ) -> None:
        self._database = database
        self._group = group
        self._owner = owner
        self._fetch = fetch
        self._network_of = network_of
        self._secret = secret
        self._wake = asyncio.Event()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._of: Counter[str] = Counter()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send; what is under way on exit is sent again by whoever comes next."""
        look = asyncio.create_task(self._look())
        try:
            yield
        finally:
            tasks = [look, *self._tasks.values()]
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def secret_of(self, workspace: str) -> str:
        """What a receiver needs to know."""
        return secret_of(self._secret, workspace)

    async def read_secret(self, actor: Actor, workspace: str) -> str:
        """The same, for somebody who asks. Raises: DatabaseUnavailable."""
        await readings.note(self._group, actor, "webhook_secret.read", workspace=workspace)
        return self.secret_of(workspace)

    async def keep(self, write: Writing, endings: Sequence[Ending]) -> None:
        """Put those of these runs on disk, in the transaction in which they end."""
        sizes: Counter[str] = Counter()
        rows: list[tuple[object, ...]] = []
        for ending in endings:
            job = ending.job
            if job.callback is None:
                continue
            if job.workspace not in sizes:
                row = await write.row("SELECT bytes FROM delivery_sizes WHERE workspace = ?", (job.workspace,))
                sizes[job.workspace] = 0 if row is None else row["bytes"]
            body = told(ending, part_max_bytes=PART_MAX_BYTES)
            if sizes[job.workspace] + len(body) > PENDING_MAX_BYTES:
                body = told(ending, part_max_bytes=0)
            sizes[job.workspace] += len(body)
            rows.append((job.id, job.workspace, job.callback, body, ending.finished_ms, self._owner.name))
        if rows:
            await write.executemany(
                "INSERT OR IGNORE INTO deliveries (id, workspace, url, body, status, attempts, due_ms, owner) "
                "VALUES (?, ?, ?, ?, 'pending', 0, ?, ?)",
                rows,
            )

    def wake(self, ending: Ending) -> None:
        """A run has ended."""
        if ending.job.callback is not None:
            self._wake.set()

    async def state(self, run_id: str) -> DeliveryState | None:
        """How far the callback of a finished run has come; None if it had none."""
        row = await self._database.row("SELECT status, attempts FROM deliveries WHERE id = ?", (run_id,))
        return None if row is None else DeliveryState(row["status"], row["attempts"])

    async def _look(self) -> None:
        while True:
            try:
                await self._take_over()
                await self._send_due()
            except DatabaseUnavailable:
                pass
            except Exception:  # noqa: BLE001  # a side task: it must not end, and nobody else would hear of it
                _log.exception("callbacks not looked after")
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._wake.wait()

    async def _take_over(self) -> None:
        rows = await self._database.rows(
            "SELECT DISTINCT owner FROM deliveries WHERE status = 'pending' AND owner <> ?", (self._owner.name,)
        )
        dead = [row["owner"] for row in rows if not self._owner.is_alive(row["owner"])]
        for name in dead:
            async with self._database.writing() as write:
                await write.execute("UPDATE deliveries SET owner = ? WHERE owner = ?", (self._owner.name, name))

    async def _send_due(self) -> None:
        # Some of each workspace: one whose receivers are slow has all of its own due, and nobody else's.
        rows = await self._database.rows(
            "SELECT id, workspace FROM (SELECT id, workspace, due_ms, row_number() OVER (PARTITION BY workspace "
            "ORDER BY due_ms) AS place FROM deliveries WHERE owner = ? AND status = 'pending' AND due_ms <= ?) "
            "WHERE place <= ? ORDER BY place, due_ms LIMIT ?",
            (self._owner.name, now_ms(), 2 * AT_ONCE_OF_A_WORKSPACE, 4 * AT_ONCE),
        )
        for row in rows:
            run_id, workspace = row["id"], row["workspace"]
            if len(self._tasks) >= AT_ONCE:
                return
            if run_id not in self._tasks and self._of[workspace] < AT_ONCE_OF_A_WORKSPACE:
                self._of[workspace] += 1
                self._tasks[run_id] = asyncio.create_task(self._attempt(run_id, workspace))

    async def _attempt(self, run_id: str, workspace: str) -> None:
        try:
            row = await self._database.row(
                "SELECT url, body, attempts FROM deliveries WHERE id = ? AND status = 'pending'", (run_id,)
            )
            if row is None:
                return
            is_taken = await self._send(run_id, workspace, row["url"], row["body"])
            await self._group.do(self._write_down, (run_id, is_taken, row["attempts"] + 1))
        except DatabaseUnavailable:
            await asyncio.sleep(LOOK_EVERY_S)
        except Exception:  # noqa: BLE001  # a side task: nobody else would hear of it
            _log.exception("callback failed", workspace=workspace, run=run_id)
        finally:
            del self._tasks[run_id]
            self._of[workspace] -= 1
            if not self._of[workspace]:
                del self._of[workspace]
            self._wake.set()

    async def _send(self, run_id: str, workspace: str, url: str, body: bytes) -> bool:
        try:
            network = await self._network_of(workspace)
        except SkepError:
            return False  # what it may reach is not known now
        request = FetchRequest(
            workspace=workspace,
            network=network,
            run_id=run_id,
            method="POST",
            url=url,
            headers=[
                ("Content-Type", "application/json"),
                (HEADER, sign(self.secret_of(workspace), body, now_s=int(time.time()))),
            ],
            body=body,
            timeout_s=TIMEOUT_S,
            follows_redirects=False,
        )
        allowance = Allowance(Budget(ANSWER_MAX_BYTES))
        try:
            answer = await self._fetch(request, allowance)
        finally:
            allowance.give_back()
        return isinstance(answer, Response) and answer.status // 100 == 2  # noqa: PLR2004  # RFC 9110, section 15.3

    async def _write_down(self, write: Writing, attempts: Sequence[tuple[str, bool, int]]) -> Sequence[None]:
        for run_id, is_taken, number in attempts:
            status = "delivered" if is_taken else "failed" if number >= ATTEMPTS_MAX else "pending"
            pause_ms = 0 if status != "pending" else _pause_ms(number)
            await write.execute(
                "UPDATE deliveries SET status = ?, attempts = ?, due_ms = ?, "
                "body = CASE WHEN ? = 'pending' THEN body ELSE NULL END WHERE id = ?",
                (status, number, now_ms() + pause_ms, status, run_id),
            )
        return [None] * len(attempts)


def _pause_ms(attempts: int) -> int:
    return PAUSES_S[min(attempts, len(PAUSES_S)) - 1] * (800 + secrets.randbelow(400))
