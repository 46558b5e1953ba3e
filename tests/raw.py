"""Bytes on a connection, for what no client would send."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.skep import Skep

Response = tuple[int, dict[str, str], bytes]


@asynccontextmanager
async def connected(skep: Skep) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection of its own."""
    host, port = skep.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.close()


async def read(reader: asyncio.StreamReader) -> Response:
    """One response: status, headers in lower case, body."""
    async with asyncio.timeout(10):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    return int(head[0].split()[1]), headers, body


async def say(skep: Skep, data: bytes) -> Response:
    """Send bytes and read one response."""
    async with connected(skep) as (reader, writer):
        writer.write(data)
        return await read(reader)
