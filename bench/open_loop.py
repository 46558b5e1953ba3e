"""The open loop: requests leave at a fixed rate, whatever the answers do, as from callers who are strangers.

A closed loop asks less of a server that stalls, so it cannot overload one. Here each request has a moment at which it
is due; its latency counts from there, so that what had to wait in this client for a free connection has waited. How
many could not leave when they were due is in the report, and a request without exactly one answer is an error.
"""

import asyncio
import gc
import math
import re
import time
from array import array
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, cast

from bench.errors import MeasureError
from bench.generator import Generator, connect, open_generator
from bench.wire import Answer, cut_answer

PATIENCE_S: Final = 30.0
"""How long after the last request was due its answer may come."""
LATE_S: Final = 0.010
"""A request that this client comes to so long after it was due is late; it looks every millisecond."""
_TICK_S: Final = 0.001
_ERROR_CODE: Final = re.compile(rb'\{"error":\s*"(\w+)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """So many requests a second, for so long."""

    port: int
    request: bytes
    expected: tuple[bytes, ...]
    """The body of an answer with status 200 starts with one of these."""
    refusals: frozenset[str] = frozenset()
    """Codes of errors that are right answers, too; each of them with a `Retry-After`."""
    per_second: float
    seconds: float
    connections: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What one stream saw, in the order in which requests were due."""

    kinds: list[str]
    """`200`, or a status with its error code: `429 TooManyRequests`."""
    due_s: "array[float]"
    """Since the beginning."""
    latencies_s: "array[float]"
    late: int
    """Requests that this client had no time for when they were due."""
    latest_s: float
    """How late the latest was."""
    held: int
    """Requests for which there was no free connection when they were due, which is the server's doing."""
    most_under_way: int
    client_cpu_s: float
    failure: str
    """What makes all of it void, or nothing."""

    def latencies_of(self, *kinds: str) -> list[float]:
        return [latency for kind, latency in zip(self.kinds, self.latencies_s, strict=True) if kind in kinds]

    def counts(self) -> dict[str, int]:
        return dict(sorted(Counter(self.kinds).items()))

    def rate_of(self, kind: str, *, start_s: float, end_s: float) -> float:
        """Answers of a kind a second that came between two moments since the beginning."""
        came = [
            due + latency
            for answered, due, latency in zip(self.kinds, self.due_s, self.latencies_s, strict=True)
            if answered == kind
        ]
        return sum(start_s <= moment < end_s for moment in came) / (end_s - start_s)


class Sender:
    """Sends what is due, on whichever connection is free."""

    def __init__(self, stream: Stream, links: list["Link"], done: asyncio.Future[None]) -> None:
        self.stream = stream
        self.count = max(round(stream.per_second * stream.seconds), 1)
        self.due_s = array("d", (number / stream.per_second for number in range(self.count)))
        self.latencies_s = array("d", [math.nan]) * self.count
        self.kinds = [""] * self.count
        self.answered = self.late = self.held = self.most_under_way = 0
        self.latest_s = 0.0
        self.failure = ""
        self._next = 0
        self._under_way = 0
        self._free = links
        self._waiting: deque[int] = deque()
        self._done = done
        self._started = 0.0

    def start(self) -> None:
        self._started = time.perf_counter()
        self._send_due()

    def _send_due(self) -> None:
        if self._done.done():
            return
        now_s = time.perf_counter() - self._started
        while self._next < self.count and self.due_s[self._next] <= now_s:
            number = self._next
            self._next += 1
            lateness_s = time.perf_counter() - self._started - self.due_s[number]
            self.late += lateness_s > LATE_S
            self.latest_s = max(self.latest_s, lateness_s)
            if self._free:
                self._send(self._free.pop(), number)
            else:
                self.held += 1
                self._waiting.append(number)
        if self._next < self.count:
            asyncio.get_running_loop().call_later(_TICK_S, self._send_due)

    def _send(self, link: "Link", number: int) -> None:
        self._under_way += 1
        self.most_under_way = max(self.most_under_way, self._under_way)
        link.send(number, self.stream.request)

    def take(self, link: "Link", number: int, answer: Answer) -> None:
        """The answer to a request; its connection is free."""
        self.latencies_s[number] = time.perf_counter() - self._started - self.due_s[number]
        self.kinds[number] = kind = _kind(answer)
        self.answered += 1
        self._under_way -= 1
        if kind == "200":
            is_right = answer.body.startswith(self.stream.expected)
        else:
            is_right = kind[4:] in self.stream.refusals and b"\r\nretry-after:" in answer.head.lower()
        if not is_right:
            self.fail(f"a wrong answer: {kind} {answer.head[:300]!r} {answer.body[:300]!r}")
        elif self.answered == self.count:
            self.end()
        elif self._waiting:
            self._send(link, self._waiting.popleft())
        else:
            self._free.append(link)

    def fail(self, reason: str) -> None:
        self.failure = self.failure or reason
        self.end()

    def end(self) -> None:
        if not self._done.done():
            self._done.set_result(None)


class Link(asyncio.Protocol):
    """One keep-alive connection with at most one request under way."""

    def __init__(self) -> None:
        self.sender: Sender | None = None
        self._transport: asyncio.Transport
        self._number: int | None = None
        self._pending = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's, so this cannot be asked at run time.
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.sender is not None:
            state = "while it waited for an answer" if self._number is not None else "between two requests"
            self.sender.fail(f"the server closed a connection {state}: {exc}")

    def send(self, number: int, request: bytes) -> None:
        self._number = number
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._pending += data
        sender, number = self.sender, self._number
        if sender is None:
            return
        try:
            answer = cut_answer(self._pending)
        except MeasureError as error:
            sender.fail(str(error))
            return
        if number is None:
            sender.fail(f"an answer that nobody asked for: {self._pending[:300]!r}")
        elif answer is not None:
            self._pending = b""
            self._number = None
            sender.take(self, number, answer)

    def close(self) -> None:
        self.sender = None
        self._transport.close()


def _kind(answer: Answer) -> str:
    code = _ERROR_CODE.match(answer.body) if answer.status != 200 else None
    return f"{answer.status} {code[1].decode()}" if code else str(answer.status)


async def run_stream(stream: Stream) -> Answered:
    """Connect, send at the given rate, wait for the last answer."""
    links: list[Link] = []
    try:
        async for link in connect(Link, port=stream.port, count=stream.connections):
            links.append(link)  # noqa: PERF401 (those that are open are closed when a later one fails)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        sender = Sender(stream, list(links), done)
        for link in links:
            link.sender = sender
        gc.collect()
        cpu_s = time.process_time()
        sender.start()
        try:
            await asyncio.wait_for(done, stream.seconds + PATIENCE_S)
        except TimeoutError:
            sender.fail(f"{sender.count - sender.answered} of {sender.count} requests were never answered")
        return Answered(
            kinds=sender.kinds,
            due_s=sender.due_s,
            latencies_s=sender.latencies_s,
            late=sender.late,
            latest_s=sender.latest_s,
            held=sender.held,
            most_under_way=sender.most_under_way,
            client_cpu_s=time.process_time() - cpu_s,
            failure=sender.failure,
        )
    finally:
        for link in links:
            link.close()


class OpenLoop:
    """The open loop as its parent sees it: a process of its own."""

    def __init__(self, generator: Generator[Stream, Answered]) -> None:
        self._generator = generator

    def run(self, stream: Stream) -> Answered:
        """Raises: MeasureError unless every request has had exactly one right answer."""
        self._generator.start(stream)
        answered = self._generator.finish(stream.seconds + 2 * PATIENCE_S)
        if answered.failure:
            raise MeasureError(f"at {stream.per_second:,.0f} requests/s: {answered.failure}")
        return answered


@contextmanager
def open_open_loop() -> Iterator[OpenLoop]:
    """Start its process; on exit it is gone, whatever happened."""
    with open_generator(run_stream) as generator:
        yield OpenLoop(generator)
