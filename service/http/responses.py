"""The response of a run that returned: head and body in one write, for the path that everything else is measured by."""

import time
from email.utils import formatdate
from typing import Final, cast

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web_request import BaseRequest

from service.domain.quotas import RateState

CORRELATION_ID: Final = "x-correlation-id"
_CORRELATION_ID: Final = CORRELATION_ID.encode()
WHOLE_MAX_BYTES: Final = 64 * 1024
"""Larger bodies go the ordinary way, which waits when the caller reads slowly."""


def rate_headers(state: RateState) -> dict[str, str]:
    """What is left of a rate, by draft-ietf-httpapi-ratelimit-headers-06."""
    return {
        "RateLimit-Limit": str(state.limit),
        "RateLimit-Remaining": str(state.remaining),
        "RateLimit-Reset": str(state.reset_s),
    }


class RunResponse(web.StreamResponse):
    """A JSON body with the headers of a run.

    aiohttp's own response builds a dictionary of headers, looks into it several times and writes it out line by line:
    10 µs that a run can do without. Whatever asks for more (another header, a signal, a closing connection, a large
    body) gets aiohttp's.
    """

    def __init__(self, body: bytes, *, run_id: str, server_timing: str) -> None:
        super().__init__()
        self.run_id = run_id
        self.correlation_id = ""
        self.rate: RateState | None = None
        """What is left of a quota, where there is one."""
        self._content = body
        self._server_timing = server_timing
        self._ordinary: web.Response | None = None
        self._asked: web.Request | None = None

    @property
    def content(self) -> bytes:
        """The body."""
        return self._content

    @property
    def own_headers(self) -> dict[str, str]:
        """What is told of the run."""
        return {"x-run-id": self.run_id, "server-timing": self._server_timing}

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        """Decide which way it goes. Called by aiohttp."""
        asked = cast("web.Request", request)  # as an application's always are; to ask costs half a microsecond
        if (
            len(self.headers) > 0
            or len(self._content) > WHOLE_MAX_BYTES
            or not request.keep_alive
            or request.version != HttpVersion11
            or _has_signals(asked)
        ):
            self._ordinary = web.Response(body=self._content, headers=self._all_headers())
            return await self._ordinary.prepare(request)
        self._keep_alive = True
        self._asked = asked
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Send it. Called by aiohttp."""
        if self._ordinary is not None:
            await self._ordinary.write_eof(data)
            self._keep_alive = self._ordinary.keep_alive
            return
        request, self._asked = self._asked, None
        transport = request.transport if request is not None else None
        if transport is None:
            raise ConnectionResetError("the caller has gone")
        transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: %b\r\n%b: %b\r\nx-run-id: %b\r\n"
            b"server-timing: %b\r\n%bContent-Length: %d\r\n\r\n%b"
            % (
                _dates.now(),
                _CORRELATION_ID,
                self.correlation_id.encode(),
                self.run_id.encode(),
                self._server_timing.encode(),
                b"" if self.rate is None else _rate_lines(self.rate),
                len(self._content),
                self._content,
            )
        )

    def _all_headers(self) -> dict[str, str]:
        return {
            "Content-Type": "application/json",
            CORRELATION_ID: self.correlation_id,
            "x-run-id": self.run_id,
            "server-timing": self._server_timing,
            **({} if self.rate is None else rate_headers(self.rate)),
            **self.headers,
        }


def _rate_lines(state: RateState) -> bytes:
    return b"RateLimit-Limit: %d\r\nRateLimit-Remaining: %d\r\nRateLimit-Reset: %d\r\n" % state


def _has_signals(request: web.Request) -> bool:
    for app in request.match_info.apps:  # noqa: SIM110  # any() costs half a microsecond more
        if app.on_response_prepare:
            return True
    return False


class _Dates:
    """The date of this second (RFC 9110, section 5.6.7), written once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._text = b""

    def now(self) -> bytes:
        second = int(time.time())
        if second != self._second:
            self._second, self._text = second, formatdate(second, usegmt=True).encode()
        return self._text


_dates: Final = _Dates()
