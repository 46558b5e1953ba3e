"""A worker as the service holds it, over a real connection whose other end a test has, as hostile code would."""

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sandbox import protocol
from service.domain.fetching import Allowance, Failure, Fetcher, FetchRequest
from service.domain.outcome import Outcome
from service.workers.caches import SharedCache
from service.workers.child import Child
from service.workers.contract import WorkerLimits
from service.workers.ends import REPLACED
from service.workers.fetches import Fetches, FetchSettings
from service.workers.flight import Call
from service.workers.worker import Worker

RESULT_MAX_BYTES = 5000
LOGS_MAX_BYTES = 1000
FRAME_MAX_BYTES = 10_000


async def _never(request: FetchRequest, allowance: Allowance) -> Failure:
    await asyncio.Event().wait()
    raise AssertionError


FETCH_LIMITS = protocol.FetchLimits(at_once=2, count=3, body_max_bytes=100, response_max_bytes=1000)


class _Nobody:
    def landed(self, worker: Worker) -> None:
        pass

    def heard(self, worker: Worker) -> None:
        pass

    def gone(self, worker: Worker, lost: int) -> None:
        pass


@dataclass
class Rig:
    """A worker as the service holds it, and the end of its connection that hostile code would hold."""

    worker: Worker
    theirs: socket.socket
    process: subprocess.Popen[bytes]

    def send(self, data: bytes) -> None:
        self.theirs.sendall(data)

    async def run(self) -> "asyncio.Task[Outcome]":
        """Send a run and wait until it has arrived."""
        loop = asyncio.get_running_loop()
        task = asyncio.create_task(self.outcome(Call("id", b"{}", 5000, "f")))
        await loop.sock_recv(self.theirs, 65536)
        return task

    async def outcome(self, call: Call) -> Outcome:
        """Of a run that is cancelled if nobody waits for it."""
        flight = self.worker.launch(call, asyncio.get_running_loop().create_future())
        try:
            return await flight.outcome
        except asyncio.CancelledError:
            flight.cancel()
            raise


@asynccontextmanager
async def open_rig(fetcher: Fetcher | None = None, cache: SharedCache | None = None) -> AsyncIterator[Rig]:
    """With a process that is only there to be killed."""
    settings = FetchSettings(fetcher or _never, FETCH_LIMITS, timeout_max_ms=1000)
    process = subprocess.Popen(["sleep", "60"])  # noqa: ASYNC220  # started in a moment, and waited for in a thread
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    loop = asyncio.get_running_loop()
    child = Child(process.pid, os.pidfd_open(process.pid), ours, loop.create_future())
    child.exit_status.set_result(-signal.SIGKILL)
    worker = Worker(
        "w",
        child,
        limits=WorkerLimits(
            concurrency=64,
            result_max_bytes=RESULT_MAX_BYTES,
            logs_max_bytes=LOGS_MAX_BYTES,
            frame_max_bytes=FRAME_MAX_BYTES,
        ),
        owner=_Nobody(),
        open_fetches=lambda worker: Fetches("w", None, settings, worker.write_answer),
        cache=cache,
    )
    await worker.connect()
    try:
        yield Rig(worker, theirs, process)
    finally:
        worker.kill(REPLACED)
        theirs.close()
        await worker.gone.wait()
        await asyncio.to_thread(process.wait)
