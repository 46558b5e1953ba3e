"""The load generator: a closed loop over N keep-alive connections, in a process of its own.

Each connection sends its next request when its last one was answered. The same client drives the floor and Skep, and
it is lean (raw protocols on uvloop, requests built beforehand), so that what is measured is the server:
`Round.client_cpu_s` shows how far it is from being the bottleneck.
"""

import asyncio
import gc
import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from typing import Final, cast

from bench.errors import MeasureError
from bench.generator import Generator, connect, open_generator
from bench.wire import cut_answer

PATIENCE_S: Final = 20.0
"""How long a phase may last beyond its own length before the requests under way count as lost."""
MAX_ERRORS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One round of load; bounded in time and in count."""

    port: int
    requests: tuple[bytes, ...]
    """Sent in turn, over and over, whichever connection is free."""
    expected: tuple[bytes, ...]
    """Every body starts with one of these."""
    statuses: tuple[int, ...] = (200,)
    """Every answer has one of these."""
    connections: int
    seconds: float
    warmup_s: float = 0.15
    """Zero, with no warm-up requests, is none at all."""
    warmup_requests: int = 0
    """The warm-up lasts at least this many requests, however long that takes."""
    max_requests: int = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one round of load saw. Latencies are in seconds, in the order of the answers, without the warm-up."""

    latencies_s: "array[float]"
    elapsed_s: float
    client_cpu_s: float
    warmup_requests: int
    statuses: dict[int, int]
    """How many answers had which."""
    errors: int
    first_error: str


@dataclass(slots=True, kw_only=True)
class Phase:
    """The warm-up or the measured part: when it ends, and what it saw."""

    requests: Iterator[bytes]
    expected: tuple[bytes, ...]
    allowed: tuple[int, ...]
    ends_at: float
    min_requests: int
    max_requests: int
    done: asyncio.Future[None]
    running: int
    sent: int = 0
    latencies_s: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def wants_more(self, now: float) -> bool:
        return (
            (now < self.ends_at or self.sent < self.min_requests)
            and self.sent < self.max_requests
            and len(self.errors) < MAX_ERRORS
        )

    def leave(self) -> None:
        """A connection has nothing more to do in this phase; the last one ends it."""
        self.running -= 1
        if not self.running and not self.done.done():
            self.done.set_result(None)


class Client(asyncio.Protocol):
    """One connection of the closed loop."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._phase: Phase | None = None
        self._pending = b""
        self._sent_at = 0.0
        self._lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's, so this cannot be asked at run time.
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._fail(f"the server closed the connection: {exc}")

    def enter(self, phase: Phase) -> None:
        """Take part in a phase until it wants no more."""
        self._phase = phase
        if self._lost:
            self._fail("the server had closed the connection")
        else:
            self._send(phase)

    def _send(self, phase: Phase) -> None:
        phase.sent += 1
        request = next(phase.requests)
        self._sent_at = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self._pending:
            data = self._pending + data
        try:
            answer = cut_answer(data)
        except MeasureError as error:
            self._transport.abort()
            self._fail(str(error))
            return
        if answer is None:
            self._pending = data
            return
        now = time.perf_counter()
        self._pending = b""
        phase = self._phase
        if phase is None:
            self._transport.abort()  # an answer nobody asked for: the next phase will report the lost connection
            return
        phase.latencies_s.append(now - self._sent_at)
        phase.statuses[answer.status] = phase.statuses.get(answer.status, 0) + 1
        if answer.status not in phase.allowed or not answer.body.startswith(phase.expected):
            phase.errors.append(f"{answer.status} {answer.body[:300]!r}")
        if phase.wants_more(now):
            self._send(phase)
        else:
            self._phase = None
            phase.leave()

    def _fail(self, reason: str) -> None:
        phase, self._phase = self._phase, None
        if phase is not None:
            phase.errors.append(reason)
            phase.leave()

    def close(self) -> None:
        self._transport.close()


async def _run_phase(
    clients: list[Client], job: Job, requests: Iterator[bytes], *, seconds: float, min_requests: int
) -> tuple[Phase, float]:
    started = time.perf_counter()
    phase = Phase(
        requests=requests,
        expected=job.expected,
        allowed=job.statuses,
        ends_at=started + seconds,
        min_requests=min_requests,
        max_requests=job.max_requests,
        done=asyncio.get_running_loop().create_future(),
        running=len(clients),
    )
    for client in clients:
        client.enter(phase)
    try:
        await asyncio.wait_for(phase.done, seconds + PATIENCE_S)
    except TimeoutError:
        phase.errors.append(f"{phase.running} requests were not answered within {PATIENCE_S} s")
    return phase, time.perf_counter() - started


async def run_job(job: Job) -> Round:
    """Warm up, then measure, on the same connections."""
    clients: list[Client] = []
    try:
        async for client in connect(Client, port=job.port, count=job.connections):
            clients.append(client)  # noqa: PERF401 (those that are open are closed when a later one fails)
        requests = cycle(job.requests)
        warmup_requests = 0
        if job.warmup_s or job.warmup_requests:
            warm, _ = await _run_phase(
                clients, job, requests, seconds=job.warmup_s, min_requests=min(job.warmup_requests, job.max_requests)
            )
            warmup_requests = len(warm.latencies_s)
            if warm.errors:
                return _report(warm, warmup_requests, elapsed_s=0.0, client_cpu_s=0.0)
        gc.collect()
        cpu_s = time.process_time()
        measured, elapsed_s = await _run_phase(clients, job, requests, seconds=job.seconds, min_requests=1)
        return _report(measured, warmup_requests, elapsed_s=elapsed_s, client_cpu_s=time.process_time() - cpu_s)
    finally:
        for client in clients:
            client.close()


def _report(measured: Phase, warmup_requests: int, *, elapsed_s: float, client_cpu_s: float) -> Round:
    return Round(
        latencies_s=array("d", measured.latencies_s),
        elapsed_s=elapsed_s,
        client_cpu_s=client_cpu_s,
        warmup_requests=warmup_requests,
        statuses=measured.statuses,
        errors=len(measured.errors),
        first_error=measured.errors[0] if measured.errors else "",
    )


class Load:
    """The load generator as its parent sees it."""

    def __init__(self, generator: Generator[Job, Round]) -> None:
        self._generator = generator

    def run(self, job: Job) -> Round:
        """Run one job. Raises: MeasureError if any answer was wrong or missing; such a round has measured nothing."""
        self.start(job)
        return self.finish(job)

    def start(self, job: Job) -> None:
        """Run one job while the caller does something else. Raises: MeasureError."""
        self._generator.start(job)

    def has_finished(self) -> bool:
        """Whether the job that was started is over."""
        return self._generator.has_finished()

    def finish(self, job: Job) -> Round:
        """What the job that was started has seen. Raises: MeasureError, as `run`."""
        report = self._generator.finish(job.seconds + job.warmup_s + 3 * PATIENCE_S)
        if report.errors:
            raise MeasureError(f"{report.errors} wrong answers under load, the first: {report.first_error}")
        return report


@contextmanager
def open_load() -> Iterator[Load]:
    """Start the load process; on exit it is gone, whatever happened."""
    with open_generator(run_job) as generator:
        yield Load(generator)
