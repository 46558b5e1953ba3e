"""One worker as the service sees it: a connection, the runs on it, and the deadlines that end in a kill.

    deadline                     the worker says `Expired`: the caller is answered, with all its logs
    + ANSWER_MARGIN_S            it said nothing: the caller is answered all the same; the worker counts as stuck
    + STUCK_GRACE_S              still nothing: code outside the interpreter holds it, and it is killed
    `Expired` + UNWIND_GRACE_S   it answered, but what was left of the run would not go: it is killed

Everything a worker sends is tenant input. A frame that does not fit ends the worker and nothing else.
"""

import asyncio
from collections.abc import Callable
from typing import Final, assert_never, cast

import structlog

from sandbox import protocol
from service.domain.outcome import (
    CodeRefused,
    MemoryExceeded,
    Outcome,
    ParametersRefused,
    Raised,
    Returned,
    TimedOut,
    WorkerLost,
)
from service.errors import CodeError, CompilationFailed, InvalidRequest, Problem, SkepError
from service.workers.flights import Call, Flight
from service.workers.zygote import Child

ANSWER_MARGIN_S: Final = 0.06
STUCK_GRACE_S: Final = 0.1
UNWIND_GRACE_S: Final = 1.0
LOAD_TIMEOUT_S: Final = 10.0
LOG_SLACK_BYTES: Final = 4096
"""A run's logs may pass their limit by the entry that says how many were dropped."""

_NEVER: Final = float("inf")
OVERDUE: Final = "another run of this workspace passed its deadline and could not be stopped without ending the worker"
MALFORMED: Final = "the worker sent something that is no answer"

_log = structlog.get_logger()


class WorkerDied(SkepError):
    """The worker ended while it loaded its workspace."""


class Worker(asyncio.Protocol):
    """A live worker. `on_idle` is called when its last run has ended, `on_gone` once when the process is."""

    def __init__(  # noqa: PLR0913  # what it is, two limits, two listeners
        self,
        workspace: str,
        child: Child,
        *,
        logs_max_bytes: int,
        frame_max_bytes: int,
        on_idle: Callable[["Worker"], None],
        on_gone: Callable[["Worker"], None],
    ) -> None:
        self.workspace = workspace
        self.pid = child.pid
        self.retired = False
        """No longer the workspace's live worker; it goes when its last run has ended."""
        self.idle_since = asyncio.get_running_loop().time()
        self.responsive = asyncio.Event()
        self.responsive.set()
        self.gone = asyncio.Event()
        self._child = child
        self._logs_max_bytes = logs_max_bytes
        self._frames = protocol.FrameReader(max_bytes=frame_max_bytes)
        self._on_idle = on_idle
        self._on_gone = on_gone
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._loaded: asyncio.Future[bytes] | None = None
        self._flights: dict[int, Flight] = {}
        self._unsent: list[bytes] = []
        self._number = 0
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = _NEVER
        self._end_reason: str | None = None
        self._farewell: asyncio.Task[None] | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nothing of any run is left in it."""
        return not self._flights

    @property
    def is_ending(self) -> bool:
        """Whether it was killed or has died; it takes no runs."""
        return self._end_reason is not None or self._farewell is not None

    async def connect(self) -> None:
        """Take over the connection."""
        await self._loop.create_connection(lambda: self, sock=self._child.connection)

    async def load(self, request: protocol.Load) -> bytes:
        """Give the worker its workspace; returns the bundle if it made one.

        Raises: CompilationFailed or InvalidRequest when the definition was refused, WorkerDied. The worker ends then.
        """
        self._loaded = self._loop.create_future()
        self._write(request)
        try:
            async with asyncio.timeout(LOAD_TIMEOUT_S):
                return await self._loaded
        except TimeoutError:
            raise WorkerDied(f"compiling it took longer than {LOAD_TIMEOUT_S:.0f} s") from None
        finally:
            self._loaded = None

    async def run(self, call: Call) -> Outcome:
        """Run a call to its outcome. A caller that is cancelled cancels its run."""
        self._number = number = self._number + 1
        now = self._loop.time()
        due = now + call.timeout_ms / 1000 + ANSWER_MARGIN_S
        flight = self._flights[number] = Flight(
            self._loop.create_future(), timeout_ms=call.timeout_ms, started=now, due=due
        )
        if due < self._alarm_at:
            self._set_alarm(due)
        if call.code is None:
            self._write(protocol.Run(number, call.run_id, call.function, call.parameters_json, call.timeout_ms))
        else:
            self._write(protocol.RunInline(number, call.run_id, call.code, call.parameters_json, call.timeout_ms))
        try:
            return await flight.outcome
        except asyncio.CancelledError:
            # The flight stays until the worker says `Ended`; the alarm still ends a worker that cannot say it.
            if number in self._flights:
                self._write(protocol.Cancel(run=number))
            raise

    def retire(self) -> None:
        """Take no more runs and go when the last one has ended."""
        self.retired = True
        if self.is_idle:
            self.kill("it was replaced")

    def kill(self, reason: str) -> None:
        """End the process. Its runs are lost, with this reason. Returns before it is gone; see `gone`."""
        if self._end_reason is None:
            self._end_reason = reason
            self._child.kill()
            if self._transport is None:
                # Nobody will tell of the end of a connection that was never taken over.
                self._child.connection.close()
                self._farewell = self._loop.create_task(self._bury())

    # -- what the worker says -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Called by the loop with whatever has arrived."""
        if self._end_reason is not None:
            return
        try:
            for body in self._frames.feed(data):
                self._take(protocol.decode_upward(body))
        except protocol.ProtocolError as error:
            _log.warning("malformed frame", workspace=self.workspace, pid=self.pid, reason=str(error))
            self.kill(MALFORMED)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the loop passes it
        """Called by the loop when the worker has closed its end, which is mostly its end."""
        # A worker that only closed its connection is of no more use to anybody.
        self._child.kill()
        self._farewell = self._loop.create_task(self._bury())

    def _take(self, message: protocol.Upward) -> None:  # noqa: C901, PLR0912  # one case a message is the clearest form
        match message:
            case protocol.Returned(run=number, result=result):
                protocol.check_json(result)
                if flight := self._land(number):
                    flight.answer(Returned(result, flight.logs(), message.duration_us / 1000))
            case protocol.Log(run=number, entries=entries):
                self._keep_logs(number, entries)
            case protocol.Raised(run=number):
                if flight := self._land(number):
                    flight.answer(_raised(message, flight))
            case protocol.OutOfMemory(run=number, duration_us=duration_us):
                if flight := self._land(number):
                    flight.answer(MemoryExceeded(flight.logs(), duration_us / 1000))
            case protocol.Expired(run=number, duration_us=duration_us):
                self._unwinds(number, duration_us)
            case protocol.Ended(run=number):
                self._land(number)
            case protocol.BadParameters(run=number, problems=problems):
                if flight := self._land(number):
                    flight.answer(ParametersRefused(tuple(_problem(problem) for problem in problems)))
            case protocol.NotCompiled(run=number, errors=errors):
                if flight := self._land(number):
                    flight.answer(CodeRefused(tuple(_code_error(error) for error in errors)))
            case protocol.Loaded(bundle=bundle):
                self._has_loaded(bundle)
            case protocol.NotLoaded(errors=errors, problems=problems):
                self._has_loaded(
                    InvalidRequest([_problem(problem) for problem in problems])
                    if problems and not errors
                    else CompilationFailed([_code_error(error) for error in errors])
                )
            case _ as unreachable:
                assert_never(unreachable)

    def _has_loaded(self, result: bytes | SkepError) -> None:
        if self._loaded is None or self._loaded.done():
            raise protocol.ProtocolError("an answer to a question nobody asked")
        if isinstance(result, SkepError):
            self._loaded.set_exception(result)
        else:
            self._loaded.set_result(result)

    def _land(self, number: int) -> Flight | None:
        """A run has ended; None if it was already known to have."""
        flight = self._flights.pop(number, None)
        if flight is None:
            if not 0 < number <= self._number:
                raise protocol.ProtocolError("an answer for a run that does not exist")
            return None
        if not self.responsive.is_set():
            self.responsive.set()
        if not self._flights:
            self.idle_since = self._loop.time()
            self._on_idle(self)
            if self.retired:
                self.kill("it was replaced")
        return flight

    def _keep_logs(self, number: int, entries: list[bytes]) -> None:
        flight = self._flights.get(number)
        if flight is None:
            return
        for entry in entries:
            protocol.check_log_entry(entry)
            flight.entries_bytes += len(entry)
        if flight.entries_bytes > self._logs_max_bytes + LOG_SLACK_BYTES:
            raise protocol.ProtocolError("more log entries than a run may have")
        flight.entries += entries

    # -- deadlines ------------------------------------------------------------------------------------------------

    def _unwinds(self, number: int, duration_us: int) -> None:
        flight = self._flights.get(number)
        if flight is None:
            return
        flight.answer(TimedOut(flight.timeout_ms, flight.logs(), duration_us / 1000))
        self.responsive.set()
        self._is_overdue(flight, UNWIND_GRACE_S)

    def _is_overdue(self, flight: Flight, grace_s: float) -> None:
        flight.is_overdue = True
        flight.due = self._loop.time() + grace_s
        if flight.due < self._alarm_at:
            self._set_alarm(flight.due)

    def _set_alarm(self, at: float) -> None:
        """One timer serves all flights and is moved only to an earlier time: a run that ends in time costs none."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = at
        self._alarm = self._loop.call_at(at, self._ring)

    def _ring(self) -> None:
        self._alarm, self._alarm_at = None, _NEVER
        now = self._loop.time()
        for flight in self._flights.values():
            if flight.due > now:
                continue
            if flight.is_overdue:
                self.kill(OVERDUE)
                return
            flight.answer(TimedOut(flight.timeout_ms, flight.logs(), round((now - flight.started) * 1000, 3)))
            self.responsive.clear()
            self._is_overdue(flight, STUCK_GRACE_S)
        due = min((flight.due for flight in self._flights.values()), default=_NEVER)
        if due < self._alarm_at:
            self._set_alarm(due)

    # -- the end --------------------------------------------------------------------------------------------------

    async def _bury(self) -> None:
        """Answer whoever still waits, then let the pool have the place back."""
        try:
            async with asyncio.timeout(1.0):
                status = await asyncio.shield(self._child.exit_status)
        except TimeoutError:
            status = None
        reason = self._end_reason = self._end_reason or _describe_exit(status)
        if self._loaded is not None and not self._loaded.done():
            self._loaded.set_exception(WorkerDied(reason))
        if self._alarm is not None:
            self._alarm.cancel()
        for flight in self._flights.values():
            flight.answer(WorkerLost(reason, flight.logs()))
        self._flights.clear()
        self._child.close()
        self.responsive.set()
        self.gone.set()
        self._on_gone(self)

    def _write(self, message: protocol.Message) -> None:
        """Send with all else that is written in this turn of the loop: one system call, one wake of the worker."""
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(protocol.encode_frame(message))

    def _flush(self) -> None:
        frames, self._unsent = self._unsent, []
        if self._transport is not None:
            self._transport.write(b"".join(frames))


def _describe_exit(status: int | None) -> str:
    if status is None:
        return "the worker ended"
    if status < 0:
        return f"the worker was ended by signal {-status}"
    return f"the worker ended itself with status {status}"


def _raised(message: protocol.Raised, flight: Flight) -> Raised:
    return Raised(
        type=message.type,
        message=message.message,
        function=message.function,
        line=message.line,
        traceback=message.traceback,
        logs=flight.logs(),
        duration_ms=message.duration_us / 1000,
    )


def _problem(problem: protocol.Problem) -> Problem:
    return Problem(problem.path, problem.message)


def _code_error(error: protocol.CodeError) -> CodeError:
    return CodeError(error.function, error.line, error.column, error.message)
