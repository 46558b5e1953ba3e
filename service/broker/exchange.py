"""One request and the head of its response, on a connection of aiohttp's.

`aiohttp.ClientSession` does this too, and much that nobody here wants: cookies, redirects, credentials, proxies,
timers. Leaving it out takes a quarter off what a fetch costs the service.
"""

import asyncio
import io
from collections.abc import Iterable
from typing import Any, Final, cast

import aiohttp
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection
from aiohttp.helpers import TimerNoop
from multidict import CIMultiDict
from yarl import URL

from service.broker.connections import Connector, Protocol

HEADERS_MAX: Final = 100
HEADER_MAX_BYTES: Final = 8190
CONNECT_TIMEOUT_S: Final = 3.0
"""For one address of several; the next one is tried after that."""
_STREAMED_BYTES: Final = 2**16
"""Larger bodies are written in pieces."""
_READ_BYTES: Final = 2**16
_WITHOUT_BODY: Final = frozenset({"HEAD"})
_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
_TIMER: Final = TimerNoop()
_PATIENT: Final = aiohttp.ClientTimeout(total=None)
_HURRIED: Final = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S)


class Request(aiohttp.ClientRequest):
    """A request with the headers it is given, and a connection of its owner's."""

    _skip_auto_headers = CIMultiDict({"Content-Type": None})

    def __init__(self, method: str, url: URL, *, owner: str, headers: Any, data: Any, **options: Any) -> None:
        self._owner = owner
        if data is None and method in self.GET_METHODS:
            self._init_without_body(method, url, headers, **options)
        else:
            super().__init__(method, url, headers=headers, data=data, **options)

    def _init_without_body(
        self, method: str, url: URL, headers: Any, *, loop: asyncio.AbstractEventLoop, server_hostname: str | None
    ) -> None:
        """What aiohttp comes to in a dozen steps: 4 µs of a fetch."""
        self._session = None  # type: ignore[assignment]  # as in aiohttp's own tests; nobody asks it
        self.original_url = self.url = url
        self.method = method
        self.chunked = self.compress = self.length = None
        self.loop = loop
        self.response_class = aiohttp.ClientResponse
        self._timer = _TIMER
        self._ssl = True
        self.server_hostname = server_hostname
        self.version = aiohttp.HttpVersion11
        self.proxy = self.proxy_auth = self.proxy_headers = None
        self.headers = CIMultiDict(headers)
        self._traces = []

    @property
    def connection_key(self) -> ConnectionKey:
        """Which connections it may have: no request of another owner's gets them.

        The owner is in the name for TLS, which is only compared here; the connection takes it from the request.
        """
        url = self.url
        return ConnectionKey(url.raw_host or "", url.port, self.is_ssl(), True, None, None, None, self._owner)

    def update_headers(self, headers: Any) -> None:
        """Called by aiohttp: these and no others."""
        self.headers = CIMultiDict(headers)

    def update_auto_headers(self, skip_auto_headers: Iterable[str] | None) -> None:
        """Called by aiohttp."""


async def exchange(  # noqa: PLR0913  # a request
    connector: Connector,
    method: str,
    url: URL,
    headers: list[tuple[str, str]],
    body: bytes,
    *,
    owner: str,
    server_hostname: str | None,
    hurry: bool,
) -> aiohttp.ClientResponse:
    """Send a request, and wait for the head of the response. `headers` are all it has but those about its body.

    `hurry`: connect within `CONNECT_TIMEOUT_S`. A kept connection may turn out to be closed; what may be repeated is
    then sent once more (RFC 9110, section 9.2.2). Raises: aiohttp.ClientError, OSError, ValueError.
    """
    may_repeat = method in _IDEMPOTENT
    while True:
        request = Request(
            method,
            url,
            owner=owner,
            headers=headers,
            data=None if not body else body if len(body) < _STREAMED_BYTES else io.BytesIO(body),
            loop=asyncio.get_running_loop(),
            server_hostname=server_hostname,
        )
        try:
            connection = await connector.connect(request, traces=[], timeout=_HURRIED if hurry else _PATIENT)
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError(f"no connection within {CONNECT_TIMEOUT_S:.0f} s") from error
        protocol = cast("Protocol", connection.protocol)  # that of a connection that was just made or taken
        try:
            return await _ask(connection, protocol, request)
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
            if not (may_repeat and protocol.was_kept):
                raise
            may_repeat = False


async def _ask(connection: Connection, protocol: Protocol, request: Request) -> aiohttp.ClientResponse:
    try:
        protocol.set_response_params(
            skip_payload=request.method in _WITHOUT_BODY,
            read_until_eof=True,
            auto_decompress=False,
            read_bufsize=_READ_BYTES,
            max_line_size=HEADER_MAX_BYTES,
            max_field_size=HEADER_MAX_BYTES,
            max_headers=HEADERS_MAX,
        )
        response = await request.send(connection)
        try:
            return await response.start(connection)
        except BaseException:
            response.close()
            raise
    except BaseException:
        connection.close()
        raise
