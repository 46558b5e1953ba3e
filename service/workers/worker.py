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
from service.metrics.observation import WorkerState
from service.workers.answers import Ending, check_result, end_of, not_loaded, outcome_of, refusal_of
from service.workers.cache_ops import CacheOps
from service.workers.caches import SharedCache
from service.workers.child import Child
from service.workers.contract import LoadTooLong, Owner, WorkerLimits
from service.workers.ends import MALFORMED, REPLACED, End
from service.workers.fetches import Fetches
from service.workers.flight import Call, Flight
from service.workers.flights import Flights
from service.workers.inbox import Inbox
from service.workers.masks import Masks
from service.workers.outbox import Outbox
from service.workers.requests import Requests

LOAD_TIMEOUT_S: Final = 10.0
LARGE_BYTES: Final = 64 * 1024
UNREAD_MAX_BYTES: Final = 4 * 2**20
"""A worker that leaves so much unread gets no more runs for now: they wait where they are counted."""

_log = structlog.get_logger()


class Worker(asyncio.Protocol):
    """A live worker."""

    def __init__(  # noqa: PLR0913  # what it is, what holds for it, who listens, what it may ask for
        self,
        workspace: str,
        child: Child,
        *,
        limits: WorkerLimits,
        owner: Owner,
        open_fetches: Callable[["Worker"], Fetches],
        cache: SharedCache | None = None,
        masks: Masks | None = None,
    ) -> None:
        self.workspace = workspace
        self.pid = child.pid
        self.cache = cache
        self.retired: End | None = None
        """Why it takes no more runs and goes when its last one has ended."""
        self.end: End | None = None
        """Why it was ended, or has."""
        self.since = self.idle_since = asyncio.get_running_loop().time()
        self.gone = asyncio.Event()
        self._child = child
        self._limits = limits
        self._masks = masks or Masks()
        self._concurrency = limits.concurrency
        self._inbox = Inbox(max_bytes=limits.frame_max_bytes, take=self._take, refuse=self._refuse)
        self._outbox = Outbox()
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._loaded: asyncio.Future[bytes] | None = None
        self._has_ever_loaded = False
        self._is_paused = False
        self._values_max_bytes = max(limits.result_max_bytes, limits.logs_max_bytes)
        self._flights = Flights(
            logs_max_bytes=limits.logs_max_bytes, cancel=self.cancel, kill=self.kill, waited_s=child.waited_s,
            read_max_bytes=self._outbox.read_max_bytes, is_unheard=self._inbox.is_throttled, masks=self._masks,
        )  # fmt: skip
        self.find = self._flights.find
        cache_ops = CacheOps(cache, self._outbox, self._inbox.rest, self._refuse)
        self._requests = Requests(self._flights, lambda: open_fetches(self), cache_ops)
        self._farewell: asyncio.Task[None] | None = None

    @property
    def runs(self) -> int:
        """Runs in it, and what is left of those that are being unwound."""
        return len(self._flights)

    @property
    def is_idle(self) -> bool:
        """Whether nothing of any run is left in it."""
        return not self._flights

    @property
    def state(self) -> WorkerState:
        """For whoever counts workers."""
        if self.retired is not None or self.is_ending:
            return "retiring"
        if not self._has_ever_loaded:
            return "starting"
        return "busy" if self._flights else "idle"

    @property
    def oldest_run_at(self) -> float:
        """Loop time at which the first of its runs began; now if there is none."""
        return self._flights.oldest_at()

    @property
    def is_stuck(self) -> bool:
        """Whether code outside the interpreter holds it; it is then back, or dead, in a moment."""
        return self._flights.is_stuck

    @property
    def is_ending(self) -> bool:
        """Whether it was killed or has died; it takes no runs."""
        return self.end is not None or self._farewell is not None

    @property
    def has_room(self) -> bool:
        """Whether a run can be launched in it now."""
        return (
            len(self._flights) < self._concurrency
            and not self._flights.is_stuck
            and self.retired is None
            and self.end is None
            and self._farewell is None
            and not (self._is_paused and self._outbox.unread_bytes() > UNREAD_MAX_BYTES)
        )

    async def connect(self) -> None:
        """Take over the connection."""
        await self._loop.create_connection(lambda: self, sock=self._child.connection)

    async def load(self, request: protocol.Load) -> bytes:
        """Give the worker its workspace; returns the bundle if it made one.

        Raises: CompilationFailed or InvalidRequest when the definition was refused, WorkerDied. The worker ends then.
        """
        self._loaded = self._loop.create_future()
        self._outbox.put(request)
        try:
            async with asyncio.timeout(LOAD_TIMEOUT_S):
                return await self._loaded
        except TimeoutError:
            raise LoadTooLong(f"compiling it took longer than {LOAD_TIMEOUT_S:.0f} s") from None
        finally:
            self._loaded = None

    def launch(self, call: Call, outcome: "asyncio.Future[Outcome]") -> Flight:
        """Send a call; its outcome is set when it has one."""
        flight = self._flights.launch(call, outcome)
        if call.code is None:
            message: protocol.Message = protocol.Run(
                flight.number, call.run_id, call.function, call.parameters_json, call.timeout_ms
            )
        else:
            message = protocol.RunInline(flight.number, call.run_id, call.code, call.parameters_json, call.timeout_ms)
        self._outbox.put(message)
        flight.told = self._outbox.written_bytes
        return flight

    def cancel(self, flight: Flight) -> None:
        """Nobody waits for this one any more."""
        # It stays until the worker says `Ended`; the alarm still ends a worker that cannot say it.
        if flight.number in self._flights and self.end is None:
            self._outbox.put(protocol.Cancel(run=flight.number))
        self._requests.end_run(flight.number)

    def retire(self, why: End = REPLACED) -> None:
        """Take no more runs and go when the last one has ended."""
        self.retired = self.retired or why
        if self.is_idle:
            self.kill(self.retired)

    def kill(self, why: End) -> None:
        """End the process. Its runs are lost, for this reason. Returns before it is gone; see `gone`."""
        if self.end is None:
            self.end = why
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
        self._outbox.open(self._transport)

    def data_received(self, data: bytes) -> None:
        """Called by the loop with whatever has arrived."""
        self._inbox.feed(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the loop passes it
        """Called by the loop when the worker has closed its end, which is mostly its end."""
        # A worker that only closed its connection is of no more use to anybody.
        self._child.kill()
        self._end()

    def _refuse(self, reason: str) -> None:
        _log.warning("malformed frame", workspace=self.workspace, pid=self.pid, reason=self._masks.text(reason))
        self.kill(MALFORMED)

    def _take(self, message: protocol.Upward, size_bytes: int) -> None:
        match message:
            case protocol.Returned(run=number, result=result):  # first, because nearly every message is one
                check_result(result, max_bytes=self._limits.result_max_bytes)
                self._end_run(number, message)
            case protocol.Log(run=number, entries=entries):
                self._inbox.charge(size_bytes + self._flights.keep_logs(number, entries))
            case protocol.Expired(run=number, duration_us=duration_us):
                self._flights.expire(number, duration_us)
                self._requests.end_run(number)
                self._owner.heard(self)
            case protocol.Ended(run=number):
                has_landed = self._flights.end(number)
                self._requests.end_run(number)
                if has_landed:
                    self._landed()
            case protocol.Fetch() | protocol.CancelFetch() | protocol.CacheOp():
                self._requests.take(message, size_bytes)
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
            flight.answer(outcome_of(message, flight, self._masks))
            self._requests.end_run(number)
            self._landed()

    def pause_writing(self) -> None:
        """Called by the loop when the worker does not take what was written."""
        self._is_paused = True
        self._requests.pause()

    def resume_writing(self) -> None:
        """Called by the loop when it has taken it."""
        self._is_paused = False
        self._requests.resume()
        self._owner.heard(self)

    def _has_loaded(self, result: bytes | SkepError) -> None:
        if self._loaded is None or self._loaded.done():
            raise protocol.ProtocolError("an answer to a question nobody asked")
        # From now on no frame is as long as a bundle may be.
        values_max_bytes = max(self._values_max_bytes, self._requests.value_max_bytes)
        self._inbox.limit(values_max_bytes + protocol.FRAME_OVERHEAD_BYTES)
        if isinstance(result, SkepError):
            self._loaded.set_exception(result)
        else:
            self._has_ever_loaded = True
            self._loaded.set_result(result)

    def _landed(self) -> None:
        if not self._flights:
            self.idle_since = self._loop.time()
            if self.retired is not None:
                self.kill(self.retired)
        self._owner.landed(self)

    def _end(self) -> None:
        # From both sides, since the loop does not tell of the end of a connection whose taking over was cancelled.
        self._inbox.close()
        self._requests.end()
        if self._farewell is None:
            self._farewell = self._loop.create_task(self._bury())

    async def _bury(self) -> None:
        """Answer whoever still waits, then let the pool have the place back."""
        try:
            async with asyncio.timeout(1.0):
                status = await asyncio.shield(self._child.exit_status)
        except TimeoutError:
            status = None
        end = self.end = self.end or end_of(status, has_loaded=self._has_ever_loaded)
        if self._loaded is not None and not self._loaded.done():
            self._loaded.set_exception(not_loaded(end))
        lost = self._flights.lose(end.sentence)
        self._child.close()
        self.gone.set()
        self._owner.gone(self, lost)
        # Nothing here keeps itself: dead workers would wait for the collector, some thirty objects each.
        self._flights.release()
        self._transport = self._farewell = None

    def write_answer(self, message: protocol.Fetched | protocol.FetchFailed) -> None:
        """Send the answer to a fetch. A large one goes at once, so that the next hears whether there is room for it."""
        if self.end is None:
            self._outbox.put(message)
            if isinstance(message, protocol.Fetched) and len(message.body) > LARGE_BYTES:
                self._outbox.flush()
