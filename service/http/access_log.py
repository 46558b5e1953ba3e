"""The access log: one line a request, in the format of the rest of the log.

Most of these lines are about runs, and there a line through the structured log costs more than the run. JSON lines are
therefore formatted by hand and written together, at most `FLUSH_S` later. The console format goes the ordinary way.
"""

from functools import lru_cache

import structlog
from aiohttp import web

from service import logs
from service.domain.keys import without_keys
from service.http.responses import RunResponse
from service.log_lines import LogLines, quote

_log = structlog.get_logger()


class AccessLog:
    """Lines of requests."""

    def __init__(self) -> None:
        self._lines = LogLines()

    def record(self, request: web.Request, response: web.StreamResponse, correlation_id: str, ms: float) -> None:
        """One line: who asked for what, what was answered, and how long it took."""
        match = request.match_info
        path, workspace, function = request.path, match.get("workspace"), match.get("function")
        run_id = response.run_id if isinstance(response, RunResponse) else response.headers.get("x-run-id")
        if not logs.writes_json():
            path, workspace, function = _shown(path, workspace, function)
            _log.info(
                "request", method=request.method, path=path, status=response.status, ms=round(ms, 3),
                workspace=workspace, function=function, run=run_id, correlation=correlation_id,
            )  # fmt: skip
            return
        self._lines.add(
            f'"event":"request","method":"{request.method}"'
            f',"status":{response.status},"ms":{ms:.3f},"run":{quote(run_id)},"correlation":{quote(correlation_id)}'
            f",{_place(path, workspace, function)}"
        )

    def flush(self) -> None:
        """Write what waits."""
        self._lines.flush()


@lru_cache(maxsize=1024)
def _place(path: str, workspace: str | None, function: str | None) -> str:
    """What the lines of all requests for one thing share."""
    path, workspace, function = _shown(path, workspace, function)
    return f'"path":{quote(path)},"workspace":{quote(workspace)},"function":{quote(function)}'


def _shown(path: str, *names: str | None) -> tuple[str, str | None, str | None]:
    """A key that somebody has put into the path by mistake does not get into the log."""
    workspace, function = (None if name is None else without_keys(name) for name in names)
    return without_keys(path), workspace, function
