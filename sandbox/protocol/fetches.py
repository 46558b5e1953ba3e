"""What a fetch may be: checked in the worker to tell the author of a function, in the service because workers lie."""

import re
from typing import Final

from sandbox.protocol.codec import ProtocolError
from sandbox.protocol.messages import Fetch

URL_MAX_CHARACTERS: Final = 8192
HEADERS_MAX: Final = 64
HEADERS_MAX_CHARACTERS: Final = 32 * 1024
TIMEOUT_MAX_MS: Final = 24 * 3600 * 1000

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}", re.ASCII)
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_METHOD: Final = re.compile(r"[A-Z]{1,32}", re.ASCII)
_FORBIDDEN_METHODS: Final = frozenset({"CONNECT", "TRACE", "TRACK"})
_FORBIDDEN_HEADERS: Final = frozenset({
    "connection", "content-length", "expect", "host", "http2-settings", "keep-alive", "proxy-connection", "te",
    "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip
"""Headers that say how a message is delivered and where to: they would let a function say something else than its URL,
or leave on a connection what the next request would be taken for."""


def method_problem(method: str) -> str | None:
    """What is wrong with a method (RFC 9110, section 9), or None."""
    if _METHOD.fullmatch(method) is None:
        return "must be a word of capital letters, such as GET or POST"
    return f"must not be {method}, which is about connections" if method in _FORBIDDEN_METHODS else None


def header_problem(name: str, value: str) -> str | None:
    """What is wrong with a header (RFC 9110, section 5), or None; a sentence that begins with its name."""
    if _TOKEN.fullmatch(name) is None:
        return f"{name[:80]!r} is no name of a header: use letters, digits and dashes"
    if name.lower() in _FORBIDDEN_HEADERS or name.lower().startswith("proxy-"):
        return f"{name} cannot be set: it is made from the URL and the body"
    if _VALUE.fullmatch(value) is None:
        return f"{name} has a value with a line break, a control character or a character beyond Latin-1"
    return None


def check_fetch(message: Fetch, *, body_max_bytes: int) -> None:
    """Hold a fetch against all of this. Raises: ProtocolError."""
    if len(message.url) > URL_MAX_CHARACTERS:
        raise ProtocolError("a URL that is too long")
    if method_problem(message.method) is not None:
        raise ProtocolError("a method that is none")
    if len(message.headers) > HEADERS_MAX:
        raise ProtocolError("too many headers")
    size = 0
    for name, value in message.headers:
        size += len(name) + len(value)
        if header_problem(name, value) is not None:
            raise ProtocolError("a header that is none")
    if size > HEADERS_MAX_CHARACTERS:
        raise ProtocolError("headers that are too long")
    if len(message.body) > body_max_bytes:
        raise ProtocolError("a body that is too large")
    if not 0 <= message.timeout_ms <= TIMEOUT_MAX_MS:
        raise ProtocolError("a timeout that is none")
