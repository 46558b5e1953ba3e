"""A caller of a service that counts what it asked and what it was answered, and an open loop of requests."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp

from bench.errors import MeasureError
from bench.ledger import Ledger, Reply

ANSWER_TIMEOUT_S: Final = 60.0
"""A request without an answer for so long counts as not answered."""
_LATE_S: Final = 1.0


class Caller:
    """Asks one service; everything goes into the ledger."""

    def __init__(self, session: aiohttp.ClientSession, ledger: Ledger) -> None:
        self._session = session
        self._loop = asyncio.get_running_loop()
        self.ledger = ledger

    def now(self) -> float:
        """The clock of all times here."""
        return self._loop.time()

    async def ask(self, method: str, path: str, document: object = None) -> Reply | None:
        """One request; None if it was not answered, which is a violation. A caller that is cancelled leaves."""
        ledger = self.ledger
        ledger.sent += 1
        sent = self.now()
        try:
            async with self._session.request(method, path, json=document) as response:
                content = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            ledger.violate("not answered", f"{method} {path} after {self.now() - sent:.3f} s: {error!r}")
            return None
        except asyncio.CancelledError:
            ledger.left += 1
            raise
        body: Any = None
        if content:
            try:
                body = json.loads(content)
            except ValueError:
                body = content.decode(errors="replace")
        ledger.answered += 1
        ledger.statuses[response.status] += 1
        return Reply(response.status, body, sent, self.now())

    async def run(self, workspace: str, function: str, **parameters: object) -> Reply | None:
        """Run a function."""
        path = f"/v2/functions/{workspace}/run/{function}"
        return self._count(await self.ask("POST", path, {"parameters": parameters}))

    async def run_inline(self, workspace: str, code: str, **parameters: object) -> Reply | None:
        """Run a body once."""
        path = f"/v2/functions/{workspace}/run"
        return self._count(await self.ask("POST", path, {"code": code, "parameters": parameters}))

    async def deploy(self, workspace: str, functions: object) -> Reply | None:
        """Create or replace a workspace."""
        return await self.ask("POST", f"/v2/functions/{workspace}", {"functions": functions})

    async def must_deploy(self, workspace: str, functions: object) -> None:
        """Raises: MeasureError unless it is accepted: there is nothing to try without it."""
        reply = await self.deploy(workspace, functions)
        if reply is None or reply.status != 200:
            raise MeasureError(f"the deploy of {workspace} was refused: {reply}")

    def _count(self, reply: Reply | None) -> Reply | None:
        if reply is not None:
            if reply.outcome is not None:
                self.ledger.outcomes[reply.outcome] += 1
            elif reply.status != 404:  # a run of what is not there is no run
                self.ledger.violate("an answer that no run has", reply)
        return reply


@asynccontextmanager
async def open_caller(url: str, ledger: Ledger) -> AsyncIterator[Caller]:
    """A caller with as many connections as it wants."""
    timeout = aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_S)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(url, timeout=timeout, connector=connector) as session:
        yield Caller(session, ledger)


async def drive(start: Callable[[], Awaitable[None]], *, rate: float, seconds: float) -> float:
    """Call `start` so many times a second, whether what it began before is over or not; wait for all of it.

    Returns by how many seconds the latest of them was late: what was due is sent late and never left out.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    latest = 0.0
    async with asyncio.TaskGroup() as tasks:
        for number in range(round(rate * seconds)):
            due = began + number / rate
            wait_s = due - loop.time()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            latest = max(latest, loop.time() - due)
            tasks.create_task(_as_coroutine(start()))
    return latest


async def _as_coroutine(awaitable: Awaitable[None]) -> None:
    await awaitable


def note_lateness(ledger: Ledger, late_s: float) -> None:
    """An open loop that is late is none."""
    told = "" if late_s < _LATE_S else "; THE CLIENT DID NOT KEEP ITS RATE: this machine is too busy"
    ledger.notes.append(f"requests were sent at most {late_s * 1000:.0f} ms late{told}")
