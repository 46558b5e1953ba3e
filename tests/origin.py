"""A web server for functions to fetch from, on 127.0.0.1, that counts what reaches it."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus

from aiohttp import web

MEGABYTE = 2**20


@dataclass
class Origin:
    """A running server."""

    port: int = 0
    requests: list[str] = field(default_factory=list)
    connections: set[int] = field(default_factory=set)
    """Ports of the clients, one a connection."""
    hanging: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    """Released when a request hangs, and again when its client has gone."""
    gone: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    at_once: int = 0
    at_once_max: int = 0
    release: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def hang(self, request: web.Request) -> web.Response:
        """Never answers."""
        self.hanging.release()
        try:
            await asyncio.Event().wait()
        finally:
            self.gone.release()
        raise AssertionError

    async def together(self, request: web.Request) -> web.Response:
        """Answers nobody until the test says so, and counts how many wait."""
        self.at_once += 1
        self.at_once_max = max(self.at_once_max, self.at_once)
        self.hanging.release()
        await self.release.wait()
        self.at_once -= 1
        return web.Response(text="together")


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def running_origin() -> AsyncIterator[Origin]:
    """Serve on a free port; on exit nothing listens there."""
    origin = Origin()
    app = web.Application(client_max_size=64 * MEGABYTE)

    @web.middleware
    async def watch(request: web.Request, handler: Handler) -> web.StreamResponse:
        assert request.transport is not None
        origin.connections.add(request.transport.get_extra_info("peername")[1])
        origin.requests.append(f"{request.method} {request.rel_url}")
        return await handler(request)

    app.middlewares.append(watch)
    app.add_routes([
        web.route("*", "/echo", _echo),
        web.route("*", "/status/{status}", _status),
        web.route("*", "/redirect/{status}", _redirect),
        web.get("/loop", _loop),
        web.get("/many", _many),
        web.get("/hang", origin.hang),
        web.get("/together", origin.together),
        web.get("/encoded/{encoding}", _encoded),
        web.get("/endless", _endless),
        web.get("/large/{size}", _large),
        web.get("/text", _text),
        web.get("/cookie", _cookie),
    ])  # fmt: skip
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        origin.port = runner.addresses[0][1]
        yield origin
    finally:
        await runner.cleanup()


async def _echo(request: web.Request) -> web.Response:
    body = await request.read()
    return web.json_response(
        {
            "method": request.method,
            "url": str(request.rel_url),
            "headers": [[name.lower(), value] for name, value in request.headers.items()],
            "body": body.decode("latin-1"),
        }
    )


async def _status(request: web.Request) -> web.Response:
    status = int(request.match_info["status"])
    return web.Response(status=status, text=None if status in {204, 304} else HTTPStatus(status).phrase)


async def _redirect(request: web.Request) -> web.Response:
    return web.Response(status=int(request.match_info["status"]), headers={"Location": request.query["to"]})


async def _loop(request: web.Request) -> web.Response:
    return web.Response(status=302, headers={"Location": "/loop"})


async def _many(request: web.Request) -> web.Response:
    left = int(request.query["left"])
    return web.Response(status=302, headers={"Location": f"/many?left={left - 1}" if left > 1 else "/text"})


def _bare(text: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(text) + stream.flush()


_ENCODED: dict[str, Callable[[bytes], tuple[bytes, str]]] = {
    "gzip": lambda text: (gzip.compress(text), "gzip"),
    "twice": lambda text: (gzip.compress(text) + gzip.compress(b"y"), "gzip"),
    "deflate": lambda text: (zlib.compress(text), "deflate"),
    "bare": lambda text: (_bare(text), "deflate"),
    "cut": lambda text: (gzip.compress(text)[:-12], "gzip"),
    "broken": lambda _text: (b"no gzip at all", "gzip"),
    "empty": lambda _text: (b"", "gzip"),
    "br": lambda _text: (b"opaque", "br"),
}


async def _encoded(request: web.Request) -> web.Response:
    text = b"x" * int(request.query.get("size", "1000"))
    encoding = request.match_info["encoding"]
    body, sent = _ENCODED[encoding](text)
    return web.Response(body=body, headers={"Content-Encoding": sent})


async def _endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x" * 65536)


async def _large(request: web.Request) -> web.Response:
    return web.Response(body=bytes(int(request.match_info["size"])))


async def _text(request: web.Request) -> web.Response:
    charset = request.query.get("charset", "utf-8")
    return web.Response(body="grüße".encode(charset), headers={"Content-Type": f"text/plain; charset={charset}"})


async def _cookie(request: web.Request) -> web.Response:
    response = web.Response(text=request.headers.get("Cookie", "none"))
    response.set_cookie("session", "secret")
    response.headers.add("Set-Cookie", "other=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT")
    return response
