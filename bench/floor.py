"""The floor: a bare aiohttp application on uvloop that parses and answers the same JSON as a run, and no more.

`python -m bench.floor` writes the port it got as a line to its standard output once it listens.
"""

import asyncio
import signal
import sys

import orjson
import uvloop
from aiohttp import web

from bench.wire import HOST


async def echo(request: web.Request) -> web.Response:
    """What a run of `hello` answers, without a run."""
    body = orjson.loads(await request.read())
    answer = {"result": "Hello " + body["parameters"]["name"], "logs": [], "duration": 0}
    return web.Response(body=orjson.dumps(answer), content_type="application/json")


async def hello(_request: web.Request) -> web.Response:
    """What functions fetch."""
    return web.Response(body=b'{"hello":"world"}', content_type="application/json")


async def serve() -> None:
    """Listen until SIGTERM."""
    app = web.Application()
    app.router.add_post("/echo", echo)
    app.router.add_get("/hello", hello)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, 0).start()
        stopped = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
        sys.stdout.write(f"{runner.addresses[0][1]}\n")
        sys.stdout.flush()
        await stopped.wait()
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    uvloop.run(serve())
