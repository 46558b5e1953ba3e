"""One worker as the service sees it: a connection, what is said on it, and its end.

Everything a worker sends is tenant input. A frame that does not fit ends the worker and nothing else.
"""

import asyncio
from collections.abc import Callable
from typing import Final, cast

import structlog

from sandbox import protocol
from service.domain.outcome import Outcome
from service.errors import SkepError
from service.workers.answers import Ending, check_result, describe_exit, outcome_of, refusal_of
from service.workers.fetches import Fetches
from service.workers.flights import Call, Flights
from service.workers.inbox import Inbox
from service.workers.zygote import Child

LOAD_TIMEOUT_S: Final = 10.0
TOGETHER_MAX: Final = 4
"""So many frames at the most are sent together: the worker should begin while the rest are still being read."""
LARGE_BYTES: Final = 64 * 1024
MALFORMED: Final = "the worker sent something that is no answer"

_log = structlog.get_logger()


class WorkerDied(SkepError):
    """The worker ended while it loaded its workspace."""


class Worker(asyncio.Protocol):
    """A live worker. `on_idle` is called when its last run has ended, `on_gone` once when the process is."""

    def __init__(  # noqa: PLR0913  # what it is, three limits, two listeners
        self,
        workspace: str,
        child: Child,
        *,
        result_max_bytes: int,
        logs_max_bytes: int,
        frame_max_bytes: int,
        on_idle: Callable[["Worker"], None],
        on_gone: Callable[["Worker"], None],
        open_fetches: Callable[["Worker"], Fetches],
    ) -> None:
        self.workspace = workspace
        self.pid = child.pid
        self.held = 1
        """Those who have acquired it and not yet given it back; whoever starts it is the first."""
        self.retired = False
        """No longer the workspace's live worker; it goes when its last run has ended."""
        self.idle_since = asyncio.get_running_loop().time()
        self.gone = asyncio.Event()
        self._child = child
        self._inbox = Inbox(max_bytes=frame_max_bytes, take=self._take, refuse=self._refuse)
        self._on_idle = on_idle
        self._on_gone = on_gone
        self._open_fetches = open_fetches
        self._fetches: Fetches | None = None  # until the first one: most workers have none
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._loaded: asyncio.Future[bytes] | None = None
        self._result_max_bytes = result_max_bytes
        self._values_max_bytes = max(result_max_bytes, logs_max_bytes)
        self._written_bytes = self._unsent_bytes = 0
        self._flights = Flights(
            logs_max_bytes=logs_max_bytes, kill=self.kill, read_max_bytes=self._read_max_bytes,
            is_unheard=self._inbox.is_throttled,
        )  # fmt: skip
        self._unsent: list[bytes] = []
        self._end_reason: str | None = None
        self._farewell: asyncio.Task[None] | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nothing of any run is left in it, and nobody is about to begin one."""
        return not self._flights and not self.held

    @property
    def responsive(self) -> asyncio.Event:
        """Not set while code outside the interpreter holds the worker; it is then back, or dead, in a moment."""
        return self._flights.responsive

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
        number, flight = self._flights.launch(call)
        if call.code is None:
            self._write(protocol.Run(number, call.run_id, call.function, call.parameters_json, call.timeout_ms))
        else:
            self._write(protocol.RunInline(number, call.run_id, call.code, call.parameters_json, call.timeout_ms))
        flight.told = self._written_bytes
        try:
            return await flight.outcome
        except asyncio.CancelledError:
            # The flight stays until the worker says `Ended`; the alarm still ends a worker that cannot say it.
            if number in self._flights:
                self._write(protocol.Cancel(run=number))
            self._end_fetches(number)
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
            self._inbox.close()
            self._child.kill()
            # Not left to the end of the process: hostile code may have given its end of the connection away.
            if self._transport is not None:
                self._transport.abort()
            else:
                self._child.connection.close()
            self._end()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self._transport = cast("asyncio.Transport", transport)
        self._inbox.open(self._transport)

    def data_received(self, data: bytes) -> None:
        """Called by the loop with whatever has arrived."""
        self._inbox.feed(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the loop passes it
        """Called by the loop when the worker has closed its end, which is mostly its end."""
        # A worker that only closed its connection is of no more use to anybody.
        self._child.kill()
        self._end()

    def _refuse(self, reason: str) -> None:
        _log.warning("malformed frame", workspace=self.workspace, pid=self.pid, reason=reason)
        self.kill(MALFORMED)

    def _take(self, message: protocol.Upward, size_bytes: int) -> None:
        match message:
            case protocol.Returned(run=number, result=result):  # first, because nearly every message is one
                check_result(result, max_bytes=self._result_max_bytes)
                self._end_run(number, message)
            case protocol.Log(run=number, entries=entries):
                self._inbox.charge(size_bytes)
                self._flights.keep_logs(number, entries)
            case protocol.Expired(run=number, duration_us=duration_us):
                self._flights.expire(number, duration_us)
                self._end_fetches(number)
            case protocol.Ended(run=number):
                self._flights.end(number)
                self._end_fetches(number)
                self._landed()
            case protocol.Fetch():
                self._fetch(message)
            case protocol.CancelFetch():
                self._cancel_fetch(message)
            case protocol.Loaded() | protocol.NotLoaded():
                self._has_loaded(message.bundle if isinstance(message, protocol.Loaded) else refusal_of(message))
            case _:
                # Errors, tracebacks and problems are cut by the worker; one that does not cut them is no honest one.
                if size_bytes > protocol.FRAME_OVERHEAD_BYTES:
                    raise protocol.ProtocolError("more about the end of a run than there may be")
                self._end_run(message.run, message)

    def _end_run(self, number: int, message: Ending) -> None:
        flight = self._flights.land(number)
        if flight is not None:
            flight.answer(outcome_of(message, flight))
            self._end_fetches(number)
            self._landed()

    def _fetch(self, message: protocol.Fetch) -> None:
        if self._fetches is None:
            self._fetches = self._open_fetches(self)
        self._fetches.check(message)
        flight = self._flights.waiting(message.run)
        # Without an answer if the run is over: it has just ended, and the worker does not know yet.
        if flight is not None:
            left_s = flight.started + flight.timeout_ms / 1000 - self._loop.time()
            self._fetches.start(message, run_id=flight.call.run_id, left_s=left_s)

    def _cancel_fetch(self, message: protocol.CancelFetch) -> None:
        if self._fetches is None:
            raise protocol.ProtocolError("a fetch that does not exist")
        self._fetches.cancel(message.fetch)

    def _end_fetches(self, run: int) -> None:
        if self._fetches is not None:
            self._fetches.end_run(run)

    def pause_writing(self) -> None:
        """Called by the loop when the worker does not take what was written."""
        if self._fetches is not None:
            self._fetches.pause()

    def resume_writing(self) -> None:
        """Called by the loop when it has taken it."""
        if self._fetches is not None:
            self._fetches.resume()

    def _has_loaded(self, result: bytes | SkepError) -> None:
        if self._loaded is None or self._loaded.done():
            raise protocol.ProtocolError("an answer to a question nobody asked")
        # From now on no frame is as long as a bundle may be.
        self._inbox.limit(self._values_max_bytes + protocol.FRAME_OVERHEAD_BYTES)
        if isinstance(result, SkepError):
            self._loaded.set_exception(result)
        else:
            self._loaded.set_result(result)

    def give_back(self) -> None:
        """Whoever acquired it is done with it."""
        self.held -= 1
        self._landed()

    def _landed(self) -> None:
        if self.is_idle:
            self.idle_since = self._loop.time()
            self._on_idle(self)
            if self.retired:
                self.kill("it was replaced")

    def _end(self) -> None:
        # From both sides, since the loop does not tell of the end of a connection whose taking over was cancelled.
        self._inbox.close()
        if self._farewell is None:
            self._farewell = self._loop.create_task(self._bury())

    async def _bury(self) -> None:
        """Answer whoever still waits, then let the pool have the place back."""
        try:
            async with asyncio.timeout(1.0):
                status = await asyncio.shield(self._child.exit_status)
        except TimeoutError:
            status = None
        reason = self._end_reason = self._end_reason or describe_exit(status)
        if self._fetches is not None:
            self._fetches.end()
        if self._loaded is not None and not self._loaded.done():
            self._loaded.set_exception(WorkerDied(reason))
        self._flights.lose(reason)
        self._child.close()
        self.gone.set()
        self._on_gone(self)

    def write_answer(self, message: protocol.Fetched | protocol.FetchFailed) -> None:
        """Send the answer to a fetch. A large one goes at once, so that the next hears whether there is room for it."""
        if self._end_reason is None:
            self._write(message)
            if isinstance(message, protocol.Fetched) and len(message.body) > LARGE_BYTES:
                self._flush()

    def _write(self, message: protocol.Message) -> None:
        """Send with all else that is written in this turn of the loop: one system call, one wake of the worker."""
        if not self._unsent:
            self._loop.call_soon(self._flush)
        frame = protocol.encode_frame(message)
        self._unsent.append(frame)
        self._written_bytes += len(frame)
        self._unsent_bytes += len(frame)
        if len(self._unsent) >= TOGETHER_MAX:
            self._flush()

    def _flush(self) -> None:
        frames, self._unsent, self._unsent_bytes = self._unsent, [], 0
        if frames and self._transport is not None:
            self._transport.write(b"".join(frames))

    def _read_max_bytes(self) -> int:
        """How much of what was written to it the worker can have read: what has left this process."""
        kept = self._transport.get_write_buffer_size() if self._transport is not None else 0
        return self._written_bytes - self._unsent_bytes - kept
