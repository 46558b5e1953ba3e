"""What a worker may say about a shared cache. The test holds the other end of the connection, as hostile code would."""

import asyncio
import socket
import struct
from typing import Any

import msgspec
import pytest

from sandbox import protocol
from sandbox.protocol import CACHE_KEY_MAX_BYTES, CACHE_PAIRS_MAX, CacheAnswer, CacheOp, Returned, encode_frame
from service.domain.outcome import WorkerLost
from service.workers.cache_ops import PAGE_BYTES
from service.workers.caches import BURST_S, Caches, SharedCache
from service.workers.ends import MALFORMED
from tests.integration.rig import Rig, open_rig

CACHE_MAX_BYTES = 4 * 2**20


@pytest.fixture
def cache() -> SharedCache:
    return Caches(cache_max_bytes=CACHE_MAX_BYTES, caches_max_bytes=2**26).hold("w")


def _op(number: int, verb: str = "get", **fields: Any) -> bytes:
    return encode_frame(CacheOp(number, verb, **fields))  # type: ignore[arg-type]  # hostile verbs as well


def _raw(*fields: object) -> bytes:
    body = msgspec.msgpack.encode(fields)
    return struct.pack("!I", len(body)) + body


MALFORMED_FRAMES: dict[str, bytes] = {
    "number 0": _op(0),
    "a negative number": _op(-1),
    "an unknown operation": _op(1, "drop"),
    "a key that is too long": _op(1, key=b"x" * (CACHE_KEY_MAX_BYTES + 1)),
    "a shown key that is too long": _op(1, "set", key=b"x", shown=b"x" * (CACHE_KEY_MAX_BYTES + 1)),
    "a long key among pairs": _op(1, "update", pairs=[(b"x" * (CACHE_KEY_MAX_BYTES + 1), b"", b"1")]),
    "too many pairs": _op(1, "update", pairs=[(b"x", b"", b"1")] * (CACHE_PAIRS_MAX + 1)),
    "a pair of two": _raw("cache", 1, "update", b"", b"", b"", [[b"x", b"1"]]),
    "a key that is text": _raw("cache", 1, "get", "x", b"", b"", []),
    "a number that is none": _raw("cache", "1", "get", b"x", b"", b"", []),
    "a message of the other direction": encode_frame(CacheAnswer(1, "done")),
}


@pytest.mark.parametrize("data", MALFORMED_FRAMES.values(), ids=MALFORMED_FRAMES)
async def test_a_malformed_operation_ends_the_worker(data: bytes, cache: SharedCache) -> None:
    async with open_rig(cache=cache) as rig:
        running = await rig.run()
        rig.send(data)
        assert await running == WorkerLost(MALFORMED.sentence, ())
        await asyncio.to_thread(rig.process.wait, 5)


async def test_a_worker_without_a_shared_cache_may_not_ask_for_one() -> None:
    async with open_rig() as rig:
        running = await rig.run()
        rig.send(_op(1))
        assert await running == WorkerLost(MALFORMED.sentence, ())


async def _answers(rig: Rig) -> list[CacheAnswer]:
    """The next answer, with all its parts."""
    reader = protocol.FrameReader(max_bytes=2**24)
    found: list[CacheAnswer] = []
    while not found or found[-1].more:
        data = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(rig.theirs, 2**18), 5)
        for message in map(protocol.decode_downward, reader.feed(data)):
            assert isinstance(message, CacheAnswer)
            found.append(message)
    return found


async def test_numbers_only_go_up(cache: SharedCache) -> None:
    async with open_rig(cache=cache) as rig:
        running = await rig.run()
        rig.send(_op(5, "set", key=b"a", value=b"1"))
        assert await _answers(rig) == [CacheAnswer(5, "done")]
        rig.send(_op(9, key=b"a"))
        assert await _answers(rig) == [CacheAnswer(9, "done", [b"1"])]
        rig.send(_op(9, key=b"a"))
        assert await running == WorkerLost(MALFORMED.sentence, ())


async def test_the_cache_may_be_used_where_no_run_is(cache: SharedCache) -> None:
    """As by a generator that outlives its run; it is the workspace's own."""
    async with open_rig(cache=cache) as rig:
        rig.send(_op(1, "increment", key=b"n", value=b"1"))
        assert await _answers(rig) == [CacheAnswer(1, "done", [b"1"])]


async def test_a_whole_cache_comes_in_parts_as_it_was(cache: SharedCache) -> None:
    entries = [(b"%d" % number, b"", b"x" * 10_000) for number in range(200)]
    for entry in entries:
        cache.apply(CacheOp(1, "update", pairs=[entry]))
    async with open_rig(cache=cache) as rig:
        rig.send(_op(1, "items"))
        loop = asyncio.get_running_loop()
        head = await asyncio.wait_for(loop.sock_recv(rig.theirs, 100), 5)
        cache.apply(CacheOp(1, "clear"))
        reader = protocol.FrameReader(max_bytes=2**24)
        pages: list[Any] = list(reader.feed(head))
        while not pages or pages[-1].more:
            data = await asyncio.wait_for(loop.sock_recv(rig.theirs, 2**18), 5)
            pages += map(protocol.decode_downward, reader.feed(data))
        parts = [part for page in pages for part in page.parts]
        assert parts == [part for key, _, value in entries for part in (key, value)]
        assert max(sum(map(len, page.parts)) for page in pages) < 2 * PAGE_BYTES


async def test_answers_that_are_not_read_do_not_pile_up(cache: SharedCache) -> None:
    cache.apply(CacheOp(1, "set", key=b"a", value=b"x" * 1_000_000))
    async with open_rig(cache=cache) as rig:
        rig.theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        running = await rig.run()
        rig.send(_op(1, key=b"a"))
        await _until(lambda: rig.worker._outbox.written_bytes > 1_000_000)
        rig.send(_op(2, key=b"a"))
        assert await running == WorkerLost(MALFORMED.sentence, ())
        assert rig.worker._outbox.written_bytes < 1_100_000


async def test_a_whole_cache_that_is_not_read_is_not_written(cache: SharedCache) -> None:
    for number in range(10):
        cache.apply(CacheOp(1, "set", key=b"%d" % number, value=b"x" * 400_000))
    async with open_rig(cache=cache) as rig:
        rig.theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        running = await rig.run()
        rig.send(_op(1, "items"))
        await _until(lambda: rig.worker._requests._cache_ops._is_paused)
        transport = rig.worker._transport
        assert transport is not None
        assert transport.get_write_buffer_size() < 2 * 400_000 + 100_000
        rig.send(encode_frame(Returned(run=1, result=b"1", duration_us=1)))
        await running
        assert len(await _answers(rig)) == 11


async def test_who_has_used_up_the_time_of_its_workspace_waits_and_is_not_taken_for_stuck(cache: SharedCache) -> None:
    async with open_rig(cache=cache) as rig, open_rig(cache=cache) as other:
        loop = asyncio.get_running_loop()
        count = 0
        for spent_s in (BURST_S + 0.01, 10.0):
            cache.charge(spent_s, loop.time())
            for each in (rig, other):
                # It is told to wait when it has asked.
                count += 1
                each.send(_op(count, "increment", key=b"n", value=b"1"))
                assert await _answers(each) == [CacheAnswer(count, "done", [b"%d" % count])]
        for each in (rig, other):
            each.send(_op(count + 1, "increment", key=b"n", value=b"1"))
        for _ in range(10):
            await asyncio.sleep(0)
        assert cache.apply(CacheOp(1, "get", key=b"n")) == ("done", [b"4"])
        assert rig.worker._inbox.is_throttled(loop.time())
        assert other.worker._inbox.is_throttled(loop.time())


async def _until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  # what is waited for has no event
            await asyncio.sleep(0)
