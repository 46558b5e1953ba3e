"""What a hostile server does with a connection costs the service little, and reaches nobody else's fetch."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest

from service.broker.egress import Egress, open_egress
from service.domain.addresses import Address
from service.domain.egress import Policy, parse_rules
from service.domain.fetching import Allowance, Budget, Failure, FetchRequest, Response

MAX_BYTES = 2**16
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def _descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.fixture
async def egress() -> AsyncIterator[Egress]:
    async def resolve(_host: str) -> tuple[Address, ...]:
        return (ip_address("127.0.0.1"),)

    policy = Policy(allow=parse_rules(["127.0.0.0/8:*", "*:*"]))
    async with open_egress(policy, resolve=resolve, response_max_bytes=MAX_BYTES, redirects_max=1) as egress:
        yield egress


@asynccontextmanager
async def _serving(talk: Talk) -> AsyncIterator[int]:
    """The port of a server that talks this way on every connection."""

    async def quietly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(quietly, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


class _Watched(Budget):
    """A budget that tells when the head of a response has been read."""

    def __init__(self) -> None:
        super().__init__(2**24)
        self.head_is_read = asyncio.Event()

    def take(self, count: int) -> bool:
        self.head_is_read.set()
        return super().take(count)


async def _fetch(
    egress: Egress,
    port: int,
    *,
    host: str = "127.0.0.1",
    body: bytes = b"",
    time_s: float = 1.0,
    budget: int | Budget = 2**24,
) -> Response | Failure:
    method = "POST" if body else "GET"
    request = FetchRequest("w", None, "run", method, f"http://{host}:{port}/", [], body, time_s)
    return await egress.fetch(request, Allowance(budget if isinstance(budget, Budget) else Budget(budget)))


@pytest.mark.parametrize("unasked", [OK.replace(b"ok", b"no"), OK * 2000])
async def test_an_answer_that_nobody_asked_for_ends_the_connection_and_is_never_read(
    egress: Egress, unasked: bytes
) -> None:
    fetched, ended = asyncio.Event(), asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        if not fetched.is_set():
            await fetched.wait()
            writer.write(unasked)
            try:
                await reader.read()
            finally:
                ended.set()

    async with _serving(talk) as port:
        assert isinstance(await _fetch(egress, port), Response)
        fetched.set()
        await asyncio.wait_for(ended.wait(), 1)
        again = await _fetch(egress, port)
        assert isinstance(again, Response)
        assert again.body == b"ok"


@pytest.mark.parametrize("more", [OK.replace(b"ok", b"no"), OK[:25], b"HTTP/1.1 100 Continue\r\n\r\n"])
@pytest.mark.parametrize("is_head_alone", [True, False])
async def test_a_connection_on_which_more_came_than_the_response_is_not_kept(
    egress: Egress, *, more: bytes, is_head_alone: bool
) -> None:
    budget, opened = _Watched(), 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened
        opened += 1
        while True:
            await reader.readuntil(b"\r\n\r\n")
            if opened == 1 and is_head_alone:
                writer.write(OK[:-2])
                await budget.head_is_read.wait()
                writer.write(OK[-2:] + more)
            else:
                writer.write(OK + more if opened == 1 else OK)

    async with _serving(talk) as port:
        for _ in range(2):
            answer = await _fetch(egress, port, budget=budget)
            assert isinstance(answer, Response)
            assert answer.body == b"ok"
    assert opened == 2


async def test_a_peer_that_reads_nothing_keeps_no_descriptor_after_the_timeout(egress: Egress) -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        before = _descriptors()
        answer = await _fetch(egress, listener.getsockname()[1], body=bytes(2**23), time_s=0.3)
        assert isinstance(answer, Failure)
        assert answer.kind == "timeout"
        async with asyncio.timeout(1):
            while _descriptors() > before:  # noqa: ASYNC110  # the kernel has no event for it
                await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("first", "forever"),
    [(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 400), (CHUNKED, b"1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\na\r\n" * 400),
     (b"", b"\r\n" * 5000)],
    ids=["interim", "chunks", "lines"],
)  # fmt: skip
async def test_cheap_bytes_without_end_are_too_large(egress: Egress, first: bytes, forever: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(first)
        while True:
            writer.write(forever)
            await writer.drain()

    async with _serving(talk) as port:
        answer = await _fetch(egress, port)
    assert isinstance(answer, Failure)
    assert answer.kind == "too-large", answer.message


@pytest.mark.parametrize("first", [b"HTTP/1.1 200 OK\r\n", CHUNKED + b"1\r\na\r\n0\r\n"], ids=["headers", "trailers"])
async def test_headers_that_have_no_end_yet_are_bounded_as_well(egress: Egress, first: bytes) -> None:
    """As many as the parser takes would be 800 KB of each fetch, for as long as it may last."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(first + b"".join(b"h%d: %s\r\n" % (number, b"x" * 8000) for number in range(90)))
        await writer.drain()
        await reader.read()

    async with _serving(talk) as port:
        answer = await _fetch(egress, port)
    assert isinstance(answer, Failure)
    assert answer.kind == "too-large"


async def test_a_connection_is_kept_for_the_name_it_was_opened_for(egress: Egress) -> None:
    opened = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened
        opened += 1
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OK)

    async with _serving(talk) as port:
        for host, connections in (("a.example", 1), ("a.example", 1), ("b.example", 2), ("a.example", 2)):
            assert isinstance(await _fetch(egress, port, host=host), Response)
            assert opened == connections


@pytest.mark.parametrize(("count", "budget"), [(90, 2**24), (10, 5000)])
async def test_headers_count_as_the_body_does(egress: Egress, count: int, budget: int) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        lines = b"".join(b"h%d: %s\r\n" % (number, b"x" * 1000) for number in range(count))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + lines + b"\r\n")
        await writer.drain()
        await reader.read()

    async with _serving(talk) as port:
        answer = await _fetch(egress, port, budget=budget)
    assert isinstance(answer, Failure)
    assert answer.kind == "too-large"


@pytest.mark.parametrize(("body", "requests", "wanted"), [(b"", 3, Response), (b"once", 2, Failure)])
async def test_what_may_be_repeated_is_sent_again_when_a_kept_connection_turns_out_to_be_closed(
    egress: Egress, body: bytes, requests: int, wanted: type
) -> None:
    """A server closes a kept connection as the next request arrives: GET goes again on a new one, POST must not."""
    seen = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        while True:
            await reader.readuntil(b"\r\n\r\n")
            seen += 1
            if seen == 2:
                return
            writer.write(OK)

    async with _serving(talk) as port:
        assert isinstance(await _fetch(egress, port), Response)
        assert isinstance(await _fetch(egress, port, body=body), wanted)
        assert seen == requests


async def test_a_request_is_not_repeated_on_a_connection_that_was_opened_for_it(egress: Egress) -> None:
    seen = 0

    async def talk(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        await reader.readuntil(b"\r\n\r\n")
        seen += 1

    async with _serving(talk) as port:
        assert isinstance(await _fetch(egress, port), Failure)
        assert seen == 1
