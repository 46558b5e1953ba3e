"""A web server that takes callbacks."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.skep import Client


@dataclass
class Receiver:
    """Takes callbacks, with the answers it is told to give; 200 when there are no more."""

    url: str = ""
    answers: list[web.Response] = field(default_factory=list)
    came: "asyncio.Queue[tuple[dict[str, str], bytes]]" = field(default_factory=asyncio.Queue)

    async def take(self, request: web.Request) -> web.Response:
        self.came.put_nowait((dict(request.headers), await request.read()))
        return self.answers.pop(0) if self.answers else web.Response()

    async def next(self) -> tuple[dict[str, str], dict[str, Any], bytes]:
        async with asyncio.timeout(20):
            headers, body = await self.came.get()
        return headers, json.loads(body), body


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver, app = Receiver(), web.Application()
    app.router.add_post("/{path:.*}", receiver.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/done"
        yield receiver
    finally:
        await runner.cleanup()


async def delivered(client: Client, workspace: str, run_id: str, wanted: str) -> int:
    """The attempts it took."""
    async with asyncio.timeout(20):
        while True:
            run = (await client.call("GET", f"/v2/functions/{workspace}/runs/{run_id}")).body
            if run["callback"]["status"] == wanted:
                attempts: int = run["callback"]["attempts"]
                return attempts
            await asyncio.sleep(0.02)
