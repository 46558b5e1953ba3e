"""The floor of `fetch`: a bare aiohttp client on uvloop, in a process of its own, that reads every body.

`python -m bench.bare_client <port>` takes lines of `<at once> <count>` on its standard input and answers each with the
seconds that so many requests took.
"""

import asyncio
import sys
import time

import aiohttp
import uvloop

from bench.wire import HOST


async def measure(session: aiohttp.ClientSession, url: str, *, at_once: int, count: int) -> float:
    """Seconds for `count` requests, `at_once` at a time."""

    async def loop() -> None:
        for _ in range(count // at_once):
            async with session.get(url) as response:
                await response.read()

    started = time.perf_counter()
    await asyncio.gather(*[loop() for _ in range(at_once)])
    return time.perf_counter() - started


async def serve(port: int) -> None:
    """Answer until the input ends."""
    async with aiohttp.ClientSession() as session:
        for line in iter(sys.stdin.readline, ""):
            at_once, count = map(int, line.split())
            elapsed_s = await measure(session, f"http://{HOST}:{port}/hello", at_once=at_once, count=count)
            sys.stdout.write(f"{elapsed_s}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
