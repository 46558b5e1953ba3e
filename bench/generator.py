"""A process of its own that makes load: it takes one job after the other and reports what each has seen."""

import asyncio
import gc
import multiprocessing
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection as Pipe
from typing import Final, Generic, TypeVar

import uvloop

from bench.errors import MeasureError
from bench.wire import HOST

STOP_TIMEOUT_S: Final = 5.0
_AT_ONCE: Final = 64
_PAUSE_S: Final = 0.01

JobT = TypeVar("JobT")
ReportT = TypeVar("ReportT")
ProtocolT = TypeVar("ProtocolT", bound=asyncio.Protocol)


class Generator(Generic[JobT, ReportT]):
    """The process as its parent sees it."""

    def __init__(self, pipe: "Pipe[JobT, ReportT | str]") -> None:
        self._pipe = pipe

    def start(self, job: JobT) -> None:
        """Run one job while the caller does something else. Raises: MeasureError."""
        try:
            self._pipe.send(job)
        except OSError as error:
            raise MeasureError("the load generator died") from error

    def has_finished(self) -> bool:
        """Whether the job that was started is over."""
        return self._pipe.poll()

    def finish(self, limit_s: float) -> ReportT:
        """What the job that was started has seen. Raises: MeasureError if there is no report within `limit_s`."""
        try:
            if not self._pipe.poll(limit_s):
                raise MeasureError(f"the load generator did not report within {limit_s:.0f} s")
            report = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise MeasureError("the load generator died") from error
        if isinstance(report, str):
            raise MeasureError(report)
        return report


async def connect(make: Callable[[], ProtocolT], *, port: int, count: int) -> AsyncIterator[ProtocolT]:
    """Open so many connections, a few at a time.

    A server that is busy accepts late, a connection beyond its backlog (128 in aiohttp) is tried again after a second,
    and nobody tells who has been accepted: hence the pauses.
    """
    for number in range(1, count + 1):
        _transport, protocol = await asyncio.get_running_loop().create_connection(make, HOST, port)
        yield protocol
        if number % _AT_ONCE == 0:
            await asyncio.sleep(_PAUSE_S)


@contextmanager
def open_generator(
    run: Callable[[JobT], Coroutine[None, None, ReportT]],
) -> Iterator[Generator[JobT, ReportT]]:
    """Start a process that does jobs with `run`, a function of a module; on exit it is gone, whatever happened."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(theirs, run), name="bench-load", daemon=True)
    process.start()
    theirs.close()
    try:
        yield Generator(ours)
    finally:
        ours.close()  # ends its wait for the next job
        process.join(STOP_TIMEOUT_S)
        if process.is_alive():
            process.kill()
            process.join()


def _serve(pipe: "Pipe[ReportT | str, JobT]", run: Callable[[JobT], Coroutine[None, None, ReportT]]) -> None:
    """Until the parent closes its end or is gone."""
    gc.disable()  # no pauses of ours inside a latency; collected between the phases instead
    while True:
        try:
            job = pipe.recv()
        except (EOFError, OSError, KeyboardInterrupt):
            return
        try:
            pipe.send(uvloop.run(run(job)))
        except (OSError, MeasureError) as error:
            pipe.send(f"the load generator failed: {error}")
        except KeyboardInterrupt:
            return
