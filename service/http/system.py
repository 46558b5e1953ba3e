"""What operators and their machines ask: is it alive, does it take runs, how is it doing."""

import asyncio

import orjson
from aiohttp import web

from sandbox.version import __version__
from service.http.problems import JSON
from service.http.skep import Skep


async def healthcheck(skep: Skep, _request: web.Request) -> web.Response:
    """GET /sys/healthcheck: the process answers."""
    body = {"status": "ok", "version": __version__, "jail": skep.zygote.level}
    return web.Response(body=orjson.dumps(body), content_type=JSON)


async def ready(skep: Skep, _request: web.Request) -> web.Response:
    """GET /sys/ready: it takes runs, and there is a volume to take them from. Raises: Draining, VolumeUnavailable.

    `database` says `ok`, or what is wrong with it: runs go on without.
    """
    skep.lifecycle.check()
    skep.volume_watch.check()
    body = {"status": "ready", "database": skep.database.trouble or skep.history.trouble or "ok"}
    if await skep.secrets.look():
        # No reason not to take runs: those of workspaces without secrets are as ever.
        body["secrets"] = "unreadable: the log says why"
    return web.Response(body=orjson.dumps(body), content_type=JSON)


async def metrics(skep: Skep, request: web.Request) -> web.Response:
    """GET /metrics: every series, in the format that is asked for. Others get their turn while it is written."""
    pieces, content_type = skep.metrics.pieces(request.headers.get("Accept"))
    body = bytearray()
    for piece in pieces:
        body += piece
        await asyncio.sleep(0)
    return web.Response(body=bytes(body), headers={"Content-Type": content_type})
