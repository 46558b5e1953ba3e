"""What a worker asks of the service while it runs: fetches, and operations on a cache that is shared."""

import asyncio
from collections.abc import Callable

from sandbox import protocol
from service.workers.cache_ops import CacheOps
from service.workers.fetches import Fetches
from service.workers.flights import Flights

Request = protocol.Fetch | protocol.CancelFetch | protocol.CacheOp


class Requests:
    """The requests of one worker."""

    def __init__(self, flights: Flights, open_fetches: Callable[[], Fetches], cache_ops: CacheOps) -> None:
        self._flights = flights
        self._open_fetches = open_fetches
        self._fetches: Fetches | None = None  # until the first one: most workers have none
        self._cache_ops = cache_ops
        self._loop = asyncio.get_running_loop()

    @property
    def value_max_bytes(self) -> int:
        """What one may have in it beside the overhead of a frame, where no body of a fetch is as long."""
        return self._cache_ops.value_max_bytes

    def take(self, message: Request, size_bytes: int) -> None:
        """Begin what is asked for. Raises: ProtocolError for what no worker of ours would send."""
        match message:
            case protocol.CacheOp():
                self._cache_ops.take(message, size_bytes)
            case protocol.Fetch():
                self._fetch(message)
            case protocol.CancelFetch():
                if self._fetches is None:
                    raise protocol.ProtocolError("a fetch that does not exist")
                self._fetches.cancel(message.fetch)

    def end_run(self, run: int) -> None:
        """The run is over: so is what it has asked for."""
        if self._fetches is not None:
            self._fetches.end_run(run)

    def pause(self) -> None:
        """The worker does not take what was written."""
        self._cache_ops.pause()
        if self._fetches is not None:
            self._fetches.pause()

    def resume(self) -> None:
        """It has taken it."""
        self._cache_ops.resume()
        if self._fetches is not None:
            self._fetches.resume()

    def end(self) -> None:
        """The worker is gone."""
        self._cache_ops.end()
        if self._fetches is not None:
            self._fetches.end()

    def _fetch(self, message: protocol.Fetch) -> None:
        if self._fetches is None:
            self._fetches = self._open_fetches()
        self._fetches.check(message)
        flight = self._flights.waiting(message.run)
        # Without an answer if the run is over: it has just ended, and the worker does not know yet.
        if flight is not None:
            left_s = flight.started + flight.timeout_ms / 1000 - self._loop.time()
            self._fetches.start(message, run_id=flight.run_id, left_s=left_s)
