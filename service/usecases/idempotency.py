"""Runs that happen once, however often they are asked for with the same key.

The key is written down before the run begins, and its answer when it has ended. Whoever asks meanwhile waits for it,
whichever service it is sent to; whoever asks later gets it from the database. Where the service dies in between nobody
can know how far the run came: whoever asks again is told that it is lost, for as long as an answer would be kept, and
it does not run again.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

import orjson
import structlog

from service.database.owners import Owner
from service.domain.idempotency import Answer, Claim, Place
from service.errors import Conflict, DatabaseUnavailable, SkepError
from service.usecases.claim_store import ClaimStore

ANSWER_MAX_BYTES: Final = 2**20
POLL_S: Final = 0.05
POLL_MAX_S: Final = 0.5
WAIT_MAX_S: Final = 300.0
"""So long somebody waits for the answer of another service, which may not be able to write it down."""
END_TIMEOUT_S: Final = 1.0
PURGE_EVERY_S: Final = 60.0
PURGE_PAUSE_S: Final = 0.1
"""Between two parts of what is old: others want to write, too."""

Ask = Callable[[], Awaitable[Answer]]
"""Does what is asked for."""
_log = structlog.get_logger()


class Idempotency:
    """All keys. `lost` is the answer for a run that nobody knows the end of; `was_finished` tells whether an accepted
    run is in the history.
    """

    def __init__(
        self,
        store: ClaimStore,
        owner: Owner,
        *,
        lost: Callable[[str], Answer],
        was_finished: Callable[[str, str], Awaitable[bool]],
    ) -> None:
        self._store = store
        self._owner = owner
        self._lost = lost
        self._was_finished = was_finished
        self._under_way: dict[Place, tuple[bytes, asyncio.Task[tuple[Answer, bool]]]] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Forget what is old, now and then; on exit every answer is written down."""
        purging = asyncio.create_task(self._purge())
        try:
            yield
        finally:
            purging.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await purging
            tasks = [task for _, task in self._under_way.values()]
            if tasks:
                # Runs are over by now. Whatever is not is lost: its key stays taken.
                _, left = await asyncio.wait(tasks, timeout=END_TIMEOUT_S)
                for task in left:
                    task.cancel()

    async def once(self, claim: Claim, ask: Ask, accepted: Answer | None = None) -> tuple[Answer, bool]:
        """The answer, and whether it is one that was given before. What was begun goes on when its caller leaves.

        `accepted` is the answer of a run that is accepted to be run later. Raises: Conflict, TooMany,
        DatabaseUnavailable, and whatever `ask` raises.
        """
        under_way = self._under_way.get(claim.place)
        if under_way is not None:
            given, task = under_way
            if given != claim.fingerprint:
                raise _in_use(claim.place.key)
            answer, _ = await asyncio.shield(task)
            return answer, True
        task = asyncio.create_task(self._claimed(claim, ask, accepted))
        self._under_way[claim.place] = claim.fingerprint, task

        def ended(task: "asyncio.Task[tuple[Answer, bool]]") -> None:
            del self._under_way[claim.place]
            if not task.cancelled():
                task.exception()

        task.add_done_callback(ended)
        return await asyncio.shield(task)

    async def _claimed(self, claim: Claim, ask: Ask, accepted: Answer | None) -> tuple[Answer, bool]:
        pause_s, waited_s = POLL_S, 0.0
        while not await self._store.claim(claim):
            answer = await self._earlier(claim, accepted)
            if answer is not None:
                return answer, True
            # Under way in another service, or free in a moment.
            if waited_s > WAIT_MAX_S:
                raise Conflict("The run of this Idempotency-Key is still under way.")
            await asyncio.sleep(pause_s)
            waited_s += pause_s
            pause_s = min(2 * pause_s, POLL_MAX_S)
        try:
            answer = await ask()
        except SkepError:
            # It has not begun. Where the key cannot be freed it stays taken, and says so.
            with contextlib.suppress(DatabaseUnavailable):
                await self._store.release(claim)
            raise
        if not answer.is_kept:
            with contextlib.suppress(DatabaseUnavailable):
                await self._store.release(claim)
        else:
            # The run has been: its first caller gets its answer even if it cannot be kept for the next.
            with contextlib.suppress(DatabaseUnavailable):
                await self._store.keep(claim, _bounded(claim, answer))
        return answer, False

    async def _earlier(self, claim: Claim, accepted: Answer | None) -> Answer | None:
        """The answer that the key has; None if it has none yet. Raises: Conflict."""
        row = await self._store.find(claim.place)
        if row is None:
            return None
        if row["fingerprint"] != claim.fingerprint:
            raise _in_use(claim.place.key)
        if row["status"] is not None:
            if row["body"] is not None:
                return Answer(row["status"], orjson.loads(row["headers"]), row["body"])
            if accepted is not None:
                return _renamed(accepted, claim.run_id, row["run_id"])
            return _not_kept(row["run_id"], row["status"], {"x-run-id": row["run_id"]})
        if row["owner"] == self._owner.name:
            # Not under way here: it has ended, and its answer was not written down.
            raise Conflict("The run of this Idempotency-Key has ended, and its answer could not be kept.",
                           run_id=row["run_id"])  # fmt: skip
        if self._owner.is_alive(row["owner"]):
            return None
        return await self._settled(claim, row, accepted)

    async def _settled(self, claim: Claim, row: sqlite3.Row, accepted: Answer | None) -> Answer | None:
        """Of a key whose service has died: what it is to answer from now on; None if it is free."""
        of = Claim(claim.place, claim.fingerprint, row["run_id"], bool(row["is_job"]))
        if of.is_job and accepted is not None:
            is_known = await self._store.is_job_known(of.run_id)
            if not is_known and not await self._was_finished(of.place.workspace, of.run_id):
                # It was not accepted: nobody was told that it is.
                await self._store.release(of)
                return None
            answer = _renamed(accepted, claim.run_id, of.run_id)
        else:
            answer = self._lost(of.run_id)
        await self._store.keep(of, answer)
        return answer

    async def _purge(self) -> None:
        while True:
            try:
                has_more = await self._store.purge()
            except DatabaseUnavailable:
                has_more = False
            except Exception:  # noqa: BLE001  # a side task: it must not end, and nobody else would hear of it
                _log.exception("old keys not purged")
                has_more = False
            await asyncio.sleep(PURGE_PAUSE_S if has_more else PURGE_EVERY_S)


def _in_use(key: str) -> Conflict:
    return Conflict(f"The Idempotency-Key {key[:64]!r} was used with another request: take another key for this one.")


def _bounded(claim: Claim, answer: Answer) -> Answer:
    if len(answer.body) <= ANSWER_MAX_BYTES:
        return answer
    return _not_kept(claim.run_id, answer.status, answer.headers)


def _not_kept(run_id: str, status: int, headers: Mapping[str, str]) -> Answer:
    message = f"The run has ended with status {status}; its answer was too large to be kept and given again."
    body = {"error": "ConflictError", "message": message, "details": {"run_id": run_id}}
    return Answer(409, headers, orjson.dumps(body))


def _renamed(accepted: Answer, run_id: str, earlier_id: str) -> Answer:
    """The same answer, about the run that was accepted earlier."""
    headers = {name: value.replace(run_id, earlier_id) for name, value in accepted.headers.items()}
    return Answer(accepted.status, headers, accepted.body.replace(run_id.encode(), earlier_id.encode()))
