"""The access log: one line a request, in the format of the rest of the log.

Most of these lines are about runs, and there a line through the structured log costs more than the run. JSON lines are
therefore formatted by hand and written together, at most `FLUSH_S` later. The console format goes the ordinary way.
"""

import asyncio
import time
from functools import lru_cache
from typing import Final

import orjson
import structlog
from aiohttp import web

from service import logs
from service.http.responses import RunResponse

FLUSH_S: Final = 0.02
_log = structlog.get_logger()


class AccessLog:
    """Lines that wait to be written together."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._second = 0
        self._stamp = ""

    def record(self, request: web.Request, response: web.StreamResponse, correlation_id: str, ms: float) -> None:
        """One line: who asked for what, what was answered, and how long it took."""
        match = request.match_info
        workspace, function = match.get("workspace"), match.get("function")
        run_id = response.run_id if isinstance(response, RunResponse) else response.headers.get("x-run-id")
        if not logs.writes_json():
            _log.info(
                "request", method=request.method, path=request.path, status=response.status, ms=round(ms, 3),
                workspace=workspace, function=function, run=run_id, correlation=correlation_id,
            )  # fmt: skip
            return
        if not self._lines:
            asyncio.get_running_loop().call_later(FLUSH_S, self.flush)
        self._lines.append(
            f'{{"timestamp":"{self._now()}","level":"info","event":"request","method":"{request.method}"'
            f',"status":{response.status},"ms":{ms:.3f},"run":{_quote(run_id)},"correlation":{_quote(correlation_id)}'
            f",{_place(request.path, workspace, function)}}}\n"
        )

    def flush(self) -> None:
        """Write what waits."""
        lines, self._lines = self._lines, []
        if lines:
            logs.write_lines("".join(lines).encode())

    def _now(self) -> str:
        seconds, ns = divmod(time.time_ns(), 1_000_000_000)
        if seconds != self._second:
            self._second, self._stamp = seconds, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
        return f"{self._stamp}.{ns // 1_000_000:03}Z"


@lru_cache(maxsize=1024)
def _place(path: str, workspace: str | None, function: str | None) -> str:
    """What the lines of all requests for one thing share."""
    return f'"path":{_quote(path)},"workspace":{_quote(workspace)},"function":{_quote(function)}'


def _quote(text: str | None) -> str:
    try:
        return orjson.dumps(text).decode()
    except TypeError:  # half of a surrogate pair
        return orjson.dumps((text or "").encode("utf-8", "backslashreplace").decode()).decode()
