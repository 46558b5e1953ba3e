"""Skep inside another aiohttp application, under a prefix of its own.

python examples/mounted.py
curl http://127.0.0.1:8080/hello
curl http://127.0.0.1:8080/skep/v2/functions/demo/run --json '{"code": "return 6 * 7"}'
"""

from pathlib import Path

from aiohttp import web

from service.app import create_app
from service.settings import Settings


async def hello(_request: web.Request) -> web.Response:
    """The other application's own route."""
    return web.json_response({"hello": "from the application around Skep"})


def build(settings: Settings) -> web.Application:
    """An application with Skep mounted at /skep. Its workers start and end with the application."""
    app = web.Application()
    app.router.add_get("/hello", hello)
    app.add_subapp("/skep", create_app(settings))
    return app


if __name__ == "__main__":
    # Without handler_cancellation, a caller that goes away would not cancel its run.
    web.run_app(
        build(Settings(functions_dirpath=Path("data/functions"))),
        host="127.0.0.1",
        port=8080,
        handler_cancellation=True,
    )
