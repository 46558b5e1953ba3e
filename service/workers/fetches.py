"""The fetches of one worker: who may ask for how many, and how answers get to a worker that may not be reading.

A worker keeps to its limits by itself; one that asks for more than they allow is not ours any more, and is ended. What
waits in the service is bounded: bodies of requests and responses by the worker's budget, and an answer is written only
when the connection has taken the last one.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from sandbox import protocol
from service.domain.egress import Rules
from service.domain.fetching import Allowance, Budget, Failure, Fetcher, FetchRequest, Response

AT_ONCE_MAX: Final = 128
"""Of one worker, however many runs it has; the others wait."""
BODIES_MAX: Final = 4
"""So many of the largest responses may be held for one worker at the same time."""
AFTER_DEADLINE_S: Final = 1.0
"""The deadline of a run ends its fetches. One that ran out just then might be first, and the run a failure."""

Answer = protocol.Fetched | protocol.FetchFailed


class FetchSettings:
    """What fetches may be, the same for every worker."""

    __slots__ = ("fetcher", "limits", "timeout_max_ms")

    def __init__(self, fetcher: Fetcher, limits: protocol.FetchLimits, *, timeout_max_ms: int) -> None:
        self.fetcher = fetcher
        self.limits = limits
        self.timeout_max_ms = timeout_max_ms


class Fetches:
    """Every fetch of one worker that has no answer yet. `send` writes to the worker."""

    def __init__(
        self,
        workspace: str,
        network: Rules | None,
        settings: FetchSettings,
        send: Callable[[Answer], None],
        *,
        hide: Callable[[str], str] = str,
    ) -> None:
        self._workspace = workspace
        self._network = network
        self._settings = settings
        self._send = send
        self._hide = hide
        self._last = 0
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._of_run: dict[int, set[int]] = {}
        self._counts: dict[int, int] = {}
        self._budget = Budget(BODIES_MAX * (settings.limits.response_max_bytes + settings.limits.body_max_bytes))
        self._room = asyncio.Semaphore(AT_ONCE_MAX)
        self._writable = asyncio.Event()
        self._writable.set()

    def check(self, message: protocol.Fetch) -> None:
        """Hold a request against what a worker may ask for. Raises: ProtocolError."""
        if message.fetch <= self._last:
            raise protocol.ProtocolError("a fetch with a number that was used before")
        self._last = message.fetch
        protocol.check_fetch(message, body_max_bytes=self._settings.limits.body_max_bytes)

    def start(self, message: protocol.Fetch, *, run_id: str, left_s: float) -> None:
        """Fetch for a run that is under way, `left_s` before its deadline. Raises: ProtocolError beyond its limits."""
        limits = self._settings.limits
        count = self._counts[message.run] = self._counts.get(message.run, 0) + 1
        under_way = self._of_run.setdefault(message.run, set())
        if count > limits.count or len(under_way) >= limits.at_once:
            raise protocol.ProtocolError("more fetches than a run may have")
        timeout_ms = min(message.timeout_ms or self._settings.timeout_max_ms, self._settings.timeout_max_ms)
        request = FetchRequest(
            self._workspace, self._network, run_id, message.method, message.url, message.headers, message.body,
            min(timeout_ms / 1000, max(left_s, 0.0) + AFTER_DEADLINE_S), self._hide,
        )  # fmt: skip
        under_way.add(message.fetch)
        self._tasks[message.fetch] = asyncio.get_running_loop().create_task(
            self._work(message.fetch, message.run, request)
        )

    def cancel(self, number: int) -> None:
        """Nobody waits for this one any more. Raises: ProtocolError for one that never was."""
        if not 0 < number <= self._last:
            raise protocol.ProtocolError("a fetch that does not exist")
        task = self._tasks.pop(number, None)
        if task is not None:
            task.cancel()
            for under_way in self._of_run.values():
                under_way.discard(number)

    def end_run(self, run: int) -> None:
        """The run is over: so are its fetches."""
        self._counts.pop(run, None)
        for number in self._of_run.pop(run, ()):
            task = self._tasks.pop(number, None)
            if task is not None:
                task.cancel()

    def end(self) -> None:
        """The worker is gone."""
        for run in tuple(self._of_run):
            self.end_run(run)

    def pause(self) -> None:
        """The worker does not take what was written."""
        self._writable.clear()

    def resume(self) -> None:
        """It has taken it."""
        self._writable.set()

    async def _work(self, number: int, run: int, request: FetchRequest) -> None:
        allowance = Allowance(self._budget)
        try:
            answer: Response | Failure
            if allowance.take(len(request.body)):
                async with self._room:
                    answer = await self._settings.fetcher(request, allowance)
            else:
                answer = Failure("too-large", "the fetches under way in this workspace have too many bytes together")
            # Each turn of the loop writes one at the most, and that one may close the way for the next.
            while not self._writable.is_set():
                await self._writable.wait()
            if self._tasks.pop(number, None) is None:
                return
            self._of_run[run].discard(number)
            self._send(_message(number, answer))
        finally:
            allowance.give_back()


def _message(number: int, answer: Response | Failure) -> Answer:
    match answer:
        case Response():
            return protocol.Fetched(number, answer.status, answer.url, answer.headers, answer.body)
        case Failure():
            return protocol.FetchFailed(number, answer.kind, answer.message)
