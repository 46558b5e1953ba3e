"""One line of the log a fetch: who reached what, with what result.

No path, no query, no header is ever in it, and nothing that a server sent: why there is no response is said in the
service's own words, which are fewer than what the author of the function is told.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import structlog

from sandbox.protocol import FetchFailure
from service import logs
from service.domain.fetching import Failure, FetchRequest, Response
from service.log_lines import LogLines, quote

_log = structlog.get_logger()

_REASONS: Final[dict[FetchFailure, str]] = {
    "refused": "the policy refuses it",
    "timeout": "no response in time",
    "too-large": "the response, or what is under way in the workspace, is too large",
    "failed": "the exchange with the server failed",
}
"""Unless the fetch left one on its way."""


@dataclass(slots=True)
class Trail:
    """How far a fetch has come."""

    host: str = ""
    """Of the last hop, with a port that is not the scheme's; empty if the URL could not be read."""
    redirects: int = 0
    reason: str = ""
    """Why it ended, if more is known than the kind: of fixed words, the host, its addresses and the port."""


class FetchLog:
    """Lines of fetches."""

    def __init__(self) -> None:
        self._lines = LogLines()

    def record(self, request: FetchRequest, trail: Trail, answer: Response | Failure | None, ms: float) -> None:
        """The line of one fetch; no answer means that it was called off."""
        status = answer.status if isinstance(answer, Response) else None
        size = len(answer.body) if isinstance(answer, Response) else 0
        kind, reason = "", ""
        host, method = request.hide(trail.host), request.hide(request.method)
        if not isinstance(answer, Response):
            kind, reason = (
                ("cancelled", "")
                if answer is None
                else (answer.kind, request.hide(trail.reason) or _REASONS[answer.kind])
            )
        if not logs.writes_json():
            _log.info(
                "fetch", workspace=request.workspace, run=request.run_id, method=method, host=host,
                status=status, bytes=size, ms=round(ms, 3), redirects=trail.redirects, failure=kind, reason=reason,
            )  # fmt: skip
            return
        line = (
            f'"event":"fetch",{_place(request.workspace, host)},"run":{quote(request.run_id)}'
            f',"method":"{method}","status":{"null" if status is None else status},"bytes":{size}'
            f',"ms":{ms:.3f},"redirects":{trail.redirects}'
        )
        self._lines.add(f'{line},"failure":"{kind}","reason":{quote(reason)}' if kind else line)

    def flush(self) -> None:
        """Write what waits."""
        self._lines.flush()


@lru_cache(maxsize=1024)
def _place(workspace: str, host: str) -> str:
    return f'"workspace":{quote(workspace)},"host":{quote(host)}'
