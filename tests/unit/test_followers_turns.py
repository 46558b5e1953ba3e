"""However many follow one run: others are served between them."""

import asyncio
from collections import Counter
from types import SimpleNamespace
from typing import Any, cast

from service.http.follow import CHUNK_BYTES, EventStream
from service.http.followers import AT_ONCE, Followers
from service.http.skep import Skep


class Reader(EventStream):
    """Takes everything at once, as the kernel does of a reader that is not slow."""

    def __init__(self, skep: Skep, written: Counter[int], rounds: list[int]) -> None:
        super().__init__(skep, "demo", "1", after=0)
        self._written = written
        self._rounds = rounds

    async def _write(self, data: bytes) -> None:
        self._written[self._rounds[0]] += len(data)


async def test_readers_of_one_run_take_turns_with_everybody_else() -> None:
    entries = [b'{"message":"%b"}' % (b"x" * 1000)] * 40
    skep = cast("Any", SimpleNamespace(followers=Followers(200)))
    written: Counter[int] = Counter()
    rounds = [0]

    async def others() -> None:
        while True:
            rounds[0] += 1
            await asyncio.sleep(0)

    serving = asyncio.create_task(others())
    readers = [Reader(skep, written, rounds) for _ in range(100)]
    await asyncio.gather(*(reader._send(entries) for reader in readers))
    serving.cancel()
    assert sum(written.values()) > 100 * 40 * 1000
    assert max(written.values()) <= AT_ONCE * (CHUNK_BYTES + 2000)
