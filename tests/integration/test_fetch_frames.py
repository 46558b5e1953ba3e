"""What a worker may say about fetches. The test holds the other end of the connection, as hostile code would."""

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from sandbox import protocol
from service.domain.fetching import Allowance, Failure, FetchRequest, Response
from service.domain.outcome import WorkerLost
from service.workers.ends import MALFORMED
from tests.integration.rig import Rig, open_rig

RUNS = 100


def _fetch(number: int = 1, *, run: int = 1, **changes: Any) -> bytes:
    plain = protocol.Fetch(run, number, "GET", "http://a.example/", [("X-A", "b")], b"", 0)
    return protocol.encode_frame(msgspec.structs.replace(plain, **changes))


MALFORMED_FRAMES: dict[str, bytes] = {
    "a run that never was": _fetch(run=2),
    "run 0": _fetch(run=0),
    "a negative run": _fetch(run=-1),
    "number 0": _fetch(0),
    "a negative number": _fetch(-1),
    "a number twice": _fetch(1) + _fetch(1),
    "a number that goes back": _fetch(5) + _fetch(4),
    "calling off what never was": protocol.encode_frame(protocol.CancelFetch(1)),
    "calling off what is to come": _fetch(1) + protocol.encode_frame(protocol.CancelFetch(2)),
    "too many at once": _fetch(1) + _fetch(2) + _fetch(3),
    "too many in all": b"".join(_fetch(n) + protocol.encode_frame(protocol.CancelFetch(n)) for n in range(1, 5)),
    "a line break in a header": _fetch(headers=[("X-A", "b\r\nHost: c")]),
    "a line break in a name": _fetch(headers=[("X-A: b\r\nX-B", "c")]),
    "another host": _fetch(headers=[("Host", "internal.example")]),
    "a length": _fetch(headers=[("content-length", "0")]),
    "a character beyond Latin-1": _fetch(headers=[("X-A", "\u0100")]),
    "many headers": _fetch(headers=[("X-A", "b")] * 65),
    "long headers": _fetch(headers=[("X-A", "b" * 2000)] * 20),
    "a method with a line break": _fetch(method="GET / HTTP/1.1\r\nHost: a\r\n\r\nGET"),
    "no method": _fetch(method=""),
    "CONNECT": _fetch(method="CONNECT"),
    "a giant URL": _fetch(url="http://a.example/" + "a" * 8192),
    "a giant body": _fetch(body=bytes(101)),
    "a negative timeout": _fetch(timeout_ms=-1),
    "a timeout without end": _fetch(timeout_ms=2**62),
    "a message of the other direction": protocol.encode_frame(protocol.FetchFailed(1, "failed", "")),
    "a header of three": struct.pack("!I", 38)
    + msgspec.msgpack.encode(["fetch", 1, 1, "GET", "http://a.example/", [["a", "b", "c"]], b"", 0])[:38],
}


@pytest.mark.parametrize("data", MALFORMED_FRAMES.values(), ids=MALFORMED_FRAMES)
async def test_a_malformed_fetch_ends_the_worker(data: bytes) -> None:
    async with open_rig() as rig:
        running = await rig.run()
        rig.send(data)
        assert await running == WorkerLost(MALFORMED.sentence, ())
        await asyncio.to_thread(rig.process.wait, 5)


async def _answer(rig: Rig) -> protocol.Downward:
    loop = asyncio.get_running_loop()
    reader = protocol.FrameReader(max_bytes=2**20)
    while True:
        for body in reader.feed(await asyncio.wait_for(loop.sock_recv(rig.theirs, 65536), 5)):
            return protocol.decode_downward(body)


def _says(answer: Response | Failure, seen: list[FetchRequest]) -> Callable[..., Any]:
    async def fetcher(request: FetchRequest, allowance: Allowance) -> Response | Failure:
        seen.append(request)
        return answer

    return fetcher


async def test_a_fetch_is_attributed_to_its_connection_and_bounded_by_its_run() -> None:
    seen: list[FetchRequest] = []
    async with open_rig(_says(Response(200, "http://a.example/", [], b"body"), seen)) as rig:
        running = await rig.run()
        rig.send(_fetch(7, timeout_ms=3_600_000))
        assert await _answer(rig) == protocol.Fetched(7, 200, "http://a.example/", [], b"body")
        (request,) = seen
        assert (request.workspace, request.run_id, request.timeout_s) == ("w", "id", 1.0)
        rig.send(protocol.encode_frame(protocol.Returned(run=1, result=b"1", duration_us=1)))
        await running


async def test_a_fetch_for_a_run_that_has_just_ended_is_ignored() -> None:
    seen: list[FetchRequest] = []
    async with open_rig(_says(Failure("failed", ""), seen)) as rig:
        running = await rig.run()
        rig.send(protocol.encode_frame(protocol.Returned(run=1, result=b"1", duration_us=1)) + _fetch(1))
        await running
        again = await rig.run()
        rig.send(protocol.encode_frame(protocol.CancelFetch(1)) + _fetch(2, run=2))
        assert await _answer(rig) == protocol.FetchFailed(2, "failed", "")
        assert len(seen) == 1
        again.cancel()


@pytest.mark.parametrize(
    "end",
    [
        protocol.Returned(run=1, result=b"1", duration_us=1), protocol.Expired(run=1, duration_us=1),
        protocol.Ended(run=1), protocol.OutOfMemory(run=1, duration_us=1), protocol.CancelFetch(1), None,
    ],
)  # fmt: skip
async def test_a_fetch_is_called_off_with_its_run(end: protocol.Message | None) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def fetcher(request: FetchRequest, allowance: Allowance) -> Response | Failure:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    async with open_rig(fetcher) as rig:
        running = await rig.run()
        rig.send(_fetch(1))
        await begun.wait()
        if end is None:
            running.cancel()
        else:
            rig.send(protocol.encode_frame(end))
        await asyncio.wait_for(ended.wait(), 5)
        running.cancel()


async def test_a_worker_that_does_not_read_makes_nothing_grow() -> None:
    fetched = 0
    all_fetched = asyncio.Event()

    async def fetcher(request: FetchRequest, allowance: Allowance) -> Response | Failure:
        nonlocal fetched
        fetched += 1
        if fetched == 2 * RUNS:
            all_fetched.set()
        size = 1000
        return Response(200, request.url, [], bytes(size)) if allowance.take(size) else Failure("too-large", "")

    async with open_rig(fetcher) as rig:
        rig.theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        running = [await rig.run() for _ in range(RUNS)]
        for run in range(1, RUNS + 1):
            rig.send(_fetch(2 * run, run=run) + _fetch(2 * run + 1, run=run))
        await asyncio.wait_for(all_fetched.wait(), 5)
        transport = rig.worker._transport
        assert transport is not None
        assert transport.get_write_buffer_size() < 100_000
        for task in running:
            task.cancel()
