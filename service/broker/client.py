"""The one HTTP client: sends a request to an address that was checked, and nowhere else.

The connection is made to the address and not to the name: aiohttp is given a URL with the address in it, and the name
only for the `Host` header and for TLS, which checks the certificate against it. Connections are kept for the next
request to the same address and name of the same workspace. Never another workspace's: a server may have taken a
connection for whoever authenticated on it (NTLM does), and a policy may allow one workspace what it refuses another.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from ipaddress import IPv6Address
from typing import Final

import aiohttp
import msgspec
from yarl import URL

from sandbox.protocol import FetchFailure
from sandbox.version import __version__
from service.broker.connections import Connector, TooMuch
from service.broker.exchange import exchange
from service.broker.kept import Kept
from service.domain.addresses import Address
from service.domain.fetching import Allowance, Headers
from service.domain.urls import Target

IDLE_S: Final = 15.0
HEADERS_MAX_BYTES: Final = 2**16
"""Names and values of one response together."""
CONNECTIONS_MAX: Final = 2000
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})

_OURS: Final = (("User-Agent", f"skep/{__version__}"), ("Accept", "*/*"), ("Accept-Encoding", "gzip, deflate"))
"""What a request has unless its author said something else."""


class Stopped(Exception):
    """A fetch ends here, without a response."""

    def __init__(self, kind: FetchFailure, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


class NotConnected(Exception):
    """Nobody answers at this address; another may."""


class Hop(msgspec.Struct, frozen=True):
    """One request of a fetch."""

    workspace: str
    method: str
    target: Target
    headers: Headers
    body: bytes


class Received(msgspec.Struct, frozen=True):
    """What came back. The body of a redirect is not read."""

    status: int
    headers: Headers
    body: bytes
    location: str | None


def _headers(hop: Hop) -> list[tuple[str, str]]:
    """Ours, where the function has none of that name, and the function's."""
    ours = [("Host", hop.target.authority), *_OURS]
    if not hop.headers:
        return ours
    given = {name.lower() for name, _ in hop.headers}
    return [pair for pair in ours if pair[0].lower() not in given] + hop.headers


class Client:
    """Sends requests. `closing` keeps no connections. `response_max_bytes` counts the body as it is received."""

    def __init__(self, keeping: Connector, closing: Connector, *, response_max_bytes: int) -> None:
        self._keeping = keeping
        self._closing = closing
        self._kept = Kept(idle_s=IDLE_S)
        self._response_max_bytes = response_max_bytes

    async def send(self, hop: Hop, address: Address, allowance: Allowance, *, hurry: bool) -> Received:
        """One request to this very address. Raises: NotConnected, Stopped."""
        target = hop.target
        place = hop.workspace, target.host, str(address), target.port
        may_keep = self._kept.begin(place)
        try:
            response = await exchange(
                self._keeping if may_keep else self._closing,
                hop.method,
                URL(target.url if target.address is not None else _url_at(target, address), encoded=True),
                _headers(hop),
                hop.body,
                # No host has a slash in it: two pairs never make one owner.
                owner=f"{target.host}/{hop.workspace}",
                server_hostname=target.host if target.scheme == "https" else None,
                hurry=hurry,
            )
            try:
                return await self._receive(response, allowance)
            finally:
                # Closes what was not read to its end: the rest of a body is not worth waiting for.
                response.release()
        except TooMuch as error:
            raise Stopped("too-large", str(error)) from None
        except aiohttp.ClientConnectorCertificateError as error:
            raise Stopped("failed", f"the certificate of {target.host} is not valid: {_reason(error)}") from None
        except aiohttp.ClientSSLError as error:
            raise Stopped("failed", f"no TLS connection to {target.host}: {_reason(error)}") from None
        except (aiohttp.ClientConnectorError, aiohttp.ServerTimeoutError) as error:
            raise NotConnected(_reason(error)) from None
        except aiohttp.ServerDisconnectedError:
            raise Stopped("failed", f"{target.host} closed the connection without an answer") from None
        except aiohttp.ClientPayloadError:
            raise Stopped("failed", f"{target.host} closed the connection in the middle of its answer") from None
        except aiohttp.ClientResponseError as error:
            raise Stopped("failed", f"{target.host} sent something that is no HTTP: {error.message[:200]}") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Stopped("failed", f"the connection to {target.host} failed: {_reason(error)}") from None
        finally:
            if may_keep:
                self._kept.end(place)

    async def _receive(self, response: aiohttp.ClientResponse, allowance: Allowance) -> Received:
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in response.raw_headers]
        headers_bytes = sum(len(name) + len(value) for name, value in response.raw_headers)
        if headers_bytes > HEADERS_MAX_BYTES:
            raise Stopped("too-large", f"the response has headers of more than {HEADERS_MAX_BYTES} bytes")
        _take(allowance, headers_bytes)
        if response.status in REDIRECTS:
            location = response.headers.get("Location")
            if location is not None:
                return Received(response.status, headers, b"", location)
        most = self._response_max_bytes
        length = response.content_length
        if length is not None and length > most and response.method != "HEAD":
            raise Stopped("too-large", f"the response has {length} bytes; {most} are the most")
        parts: list[bytes] = []
        size = 0
        content = response.content
        while not content.at_eof():
            part = await content.readany()
            size += len(part)
            if size > most:
                raise Stopped("too-large", f"the response has more than {most} bytes, which are the most")
            _take(allowance, len(part))
            parts.append(part)
        return Received(response.status, headers, b"".join(parts) if len(parts) != 1 else parts[0], None)


@asynccontextmanager
async def open_client(*, response_max_bytes: int) -> AsyncIterator[Client]:
    """A client; on exit every connection is closed.

    Nothing of the service's own gets into a request: no proxy or netrc of its environment, no cookies.
    """
    keeping = Connector(limit=CONNECTIONS_MAX, keepalive_timeout=IDLE_S, use_dns_cache=False)
    closing = Connector(limit=CONNECTIONS_MAX, force_close=True, use_dns_cache=False)
    async with keeping, closing:
        yield Client(keeping, closing, response_max_bytes=response_max_bytes)


def _take(allowance: Allowance, count: int) -> None:
    """Raises: Stopped."""
    if not allowance.take(count):
        raise Stopped("too-large", "the fetches under way in this workspace have too many bytes together")


def _url_at(target: Target, address: Address) -> str:
    host = f"[{address}]" if isinstance(address, IPv6Address) else str(address)
    return f"{target.scheme}://{host}:{target.port}{target.path}"


def _reason(error: BaseException) -> str:
    """What the system says, without what aiohttp puts around it."""
    inner = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
    text = getattr(inner, "verify_message", None) or getattr(inner, "strerror", None) or str(inner)
    return str(text)[:200] or type(error).__name__


def is_method_kept(status: int, method: str) -> bool:
    """Whether a redirect repeats the request as it was (RFC 9110, section 15.4; as browsers have it for 301 to 303)."""
    if status in {HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.PERMANENT_REDIRECT}:
        return True
    return method in {"GET", "HEAD"} or (status != HTTPStatus.SEE_OTHER and method != "POST")
