"""The open loop of the benchmarks: it sends at its rate, waits for nobody, and believes no answer that is not right."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from bench.open_loop import Answered, Stream, run_stream

RIGHT = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
FULL = b'HTTP/1.1 429 No\r\nRetry-After: 1\r\nContent-Length: 27\r\n\r\n{"error":"TooManyRequests"}'
ANSWER_S = 0.02

pytestmark = pytest.mark.usefixtures("small_heap")


@asynccontextmanager
async def server(answer_of: Callable[[int], bytes]) -> AsyncIterator[int]:
    """Answers the request of each number `ANSWER_S` after it came; an empty answer is a closed connection."""
    count = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                answer = answer_of(count)
                count += 1
                await asyncio.sleep(ANSWER_S)
                if not answer:
                    break
                writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1]


async def stream(port: int, *, connections: int, count: int = 20) -> Answered:
    return await run_stream(
        Stream(
            port=port,
            request=b"GET / HTTP/1.1\r\n\r\n",
            expected=(b"hello",),
            refusals=frozenset({"TooManyRequests"}),
            per_second=1000,
            seconds=count / 1000,
            connections=connections,
        )
    )


async def test_requests_leave_although_those_before_them_have_not_been_answered() -> None:
    async with server(lambda _: RIGHT) as port:
        answered = await stream(port, connections=20)
    assert answered.failure == ""
    assert answered.counts() == {"200": 20}
    assert answered.most_under_way > 1
    assert answered.held == 0
    assert list(answered.due_s) == [number / 1000 for number in range(20)]


async def test_the_wait_for_a_free_connection_is_part_of_the_latency_and_is_told() -> None:
    async with server(lambda _: RIGHT) as port:
        answered = await stream(port, connections=1, count=5)
    assert answered.most_under_way == 1
    assert answered.latencies_s[-1] >= 5 * ANSWER_S - answered.due_s[-1]
    assert answered.held >= 1


async def test_each_answer_is_counted_under_its_status_and_its_error() -> None:
    async with server(lambda number: FULL if number % 2 else RIGHT) as port:
        answered = await stream(port, connections=20)
    assert answered.failure == ""
    assert answered.counts() == {"200": 10, "429 TooManyRequests": 10}
    assert len(answered.latencies_of("200")) == 10
    assert answered.rate_of("200", start_s=0, end_s=60) == pytest.approx(10 / 60)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "the server closed a connection while it waited for an answer"),
        (RIGHT + RIGHT, "more than the one response"),
        (RIGHT.replace(b"hello", b"adieu"), "a wrong answer: 200"),
        (FULL.replace(b"Retry-After", b"Retry-Never"), "a wrong answer: 429 TooManyRequests"),
        (FULL.replace(b"TooMany", b"TooFewX"), "a wrong answer: 429 TooFewXRequests"),
    ],
)
async def test_one_answer_that_is_missing_or_wrong_voids_everything(answer: bytes, reason: str) -> None:
    async with server(lambda number: answer if number == 7 else RIGHT) as port:
        answered = await stream(port, connections=20)
    assert answered.failure.startswith(reason)
