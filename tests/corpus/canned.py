"""The answers that programs fetch: from a server on 127.0.0.1, and the same ones without any network."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from tests.corpus.programs import Program

SHOWN_HEADERS = ("authorization", "content-type", "idempotency-key")


class Answers:
    """Gives out the answers of one program, in order."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._given: Counter[str] = Counter()

    def to(self, method: str, path: str, body: str, headers: Mapping[str, str]) -> tuple[int, dict[str, str], str]:
        """Status, headers and body of an answer; 404 where the program has none."""
        route = f"{method} {path}"
        answers = self._program.fetch.get(route, [{"status": 404, "text": f"nothing at {route}"}])
        answer = answers[min(self._given[route], len(answers) - 1)]
        self._given[route] += 1
        sent = {name.lower(): str(value) for name, value in answer.get("headers", {}).items()}
        if "text" in answer:
            return answer.get("status", 200), {"content-type": "text/plain"} | sent, answer["text"]
        shown = {
            name.lower(): value
            for name, value in headers.items()
            if name.lower() in SHOWN_HEADERS or name.lower().startswith("x-")
        }
        value = {"method": method, "path": path, "body": body, "headers": shown}
        text = json.dumps(value if answer.get("echo") else answer.get("json"))
        return answer.get("status", 200), {"content-type": "application/json"} | sent, text


@asynccontextmanager
async def serving(programs: list[Program]) -> AsyncIterator[str]:
    """Answer for all programs, each below its name; what this gives is the address."""
    answers = {program.name: Answers(program) for program in programs}

    async def answer(request: web.Request) -> web.Response:
        _, name, path = str(request.rel_url).split("/", 2)
        body = (await request.read()).decode()
        status, headers, text = answers[name].to(request.method, f"/{path}", body, request.headers)
        return web.Response(status=status, headers=headers, body=text.encode())

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class Response:
    """As docs/functions.md describes it."""

    def __init__(self, url: str, status: int, headers: dict[str, str], text: str) -> None:
        self.url = url
        self.status = status
        self.ok = 200 <= status < 300
        self.headers = _Headers(headers)
        self._text = text

    def text(self) -> str:
        return self._text

    def json(self) -> Any:
        return json.loads(self._text)

    def bytes(self) -> bytes:
        return self._text.encode()


class _Headers(dict[str, str]):
    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return super().__contains__(str(name).lower())

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)


class Fetch:
    """`fetch` without a network."""

    def __init__(self, program: Program, origin: str) -> None:
        self._answers = Answers(program)
        self._origin = origin

    async def __call__(
        self,
        url: str,
        method: str = "GET",
        *,
        headers: Mapping[str, str] | None = None,
        params: Any = None,
        json: Any = None,
        data: Any = None,
        timeout: float | None = None,  # noqa: ASYNC109  # the argument has this name
    ) -> Response:
        assert url.startswith(self._origin), url
        if params:
            url += ("&" if "?" in url else "?") + urlencode(params, doseq=True)
        body, kind = _body(json, data)
        sent = ({"content-type": kind} if kind else {}) | {k.lower(): v for k, v in (headers or {}).items()}
        return Response(url, *self._answers.to(method.upper(), url.removeprefix(self._origin), body, sent))


def _body(value: Any, data: Any) -> tuple[str, str | None]:
    if value is not None:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False), "application/json"
    if isinstance(data, dict):
        return urlencode(data), "application/x-www-form-urlencoded"
    if isinstance(data, bytes):
        return data.decode(), None
    return data or "", None if data is None else "text/plain; charset=utf-8"
