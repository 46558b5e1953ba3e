"""However much of a response the event loop reads at once, others have their turn while it is parsed."""

import asyncio
from itertools import pairwise

import pytest
from aiohttp.client_proto import ResponseHandler

from service.broker.connections import READ_BYTES, Connector

BODY = b"a" * 20 * READ_BYTES
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY)


class _Transport(asyncio.Transport):
    """A connection that has read a lot, as those of uvloop do."""

    def __init__(self) -> None:
        super().__init__()
        self._reads = True

    def pause_reading(self) -> None:
        self._reads = False

    def resume_reading(self) -> None:
        self._reads = True

    def is_reading(self) -> bool:
        return self._reads

    def is_closing(self) -> bool:
        return False

    def abort(self) -> None:
        """Nobody looks."""


@pytest.mark.parametrize("is_closed_after", [True, False])
async def test_a_large_read_is_parsed_in_slices_and_nothing_is_read_meanwhile(*, is_closed_after: bool) -> None:
    transport = _Transport()
    async with Connector() as connector:
        protocol = connector._factory()  # what aiohttp makes connections with
        protocol.connection_made(transport)
        protocol.set_response_params(auto_decompress=False, read_bufsize=2**16)
        protocol.data_received(HEAD + BODY)
        assert not transport.is_reading()
        _, payload = await protocol.read()
        assert payload.total_bytes <= READ_BYTES
        if is_closed_after:
            protocol.connection_lost(None)
        body = b""
        while not payload.at_eof():
            before = payload.total_bytes
            body += await payload.readany()
            assert is_closed_after or payload.total_bytes <= before + READ_BYTES
        assert body == BODY
        assert transport.is_reading() or is_closed_after


async def test_small_chunks_do_not_resume_what_is_not_paused(monkeypatch: pytest.MonkeyPatch) -> None:
    resumed = 0
    resume = ResponseHandler.resume_reading

    def counted(protocol: ResponseHandler, resume_parser: bool = True) -> None:  # aiohttp's
        nonlocal resumed
        resumed += 1
        resume(protocol, resume_parser)

    monkeypatch.setattr(ResponseHandler, "resume_reading", counted)
    async with Connector() as connector:
        protocol = connector._factory()  # what aiohttp makes connections with
        protocol.connection_made(_Transport())
        protocol.set_response_params(auto_decompress=False, read_bufsize=2**16)
        protocol.data_received(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 1000)
        protocol.data_received(b"0\r\n\r\n")
        _, payload = await protocol.read()
        assert await payload.read() == b"a" * 1000
        await asyncio.sleep(0)
        assert resumed <= 3


async def test_connections_that_read_a_lot_take_turns() -> None:
    async with Connector() as connector:
        payloads = []
        for _ in range(4):
            protocol = connector._factory()  # what aiohttp makes connections with
            protocol.connection_made(_Transport())
            protocol.set_response_params(auto_decompress=False, read_bufsize=2**16)
            protocol.data_received(HEAD)
            protocol.data_received(BODY)
            payloads.append((await protocol.read())[1])
        parsed = []
        for _ in range(8):
            parsed.append(sum(payload.total_bytes for payload in payloads))
            await asyncio.sleep(0)
        assert all(later - before <= READ_BYTES for before, later in pairwise(parsed))
        assert all(payload.total_bytes for payload in payloads)
