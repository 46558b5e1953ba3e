"""What `fetch` returns, and what it raises."""

import builtins
import codecs
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from sandbox.closed import Closed
from sandbox.parameters import from_json
from sandbox.protocol import Fetched, FetchFailure

OK: Final = range(200, 300)
CHARSETS: Final = {
    "utf-8": "utf-8", "utf8": "utf-8", "us-ascii": "ascii", "ascii": "ascii", "utf-16": "utf-16",
    "utf-16le": "utf-16-le", "utf-16be": "utf-16-be", "iso-8859-1": "cp1252", "latin-1": "cp1252", "latin1": "cp1252",
    "windows-1252": "cp1252", "iso-8859-15": "iso8859-15", "iso-8859-2": "iso8859-2", "windows-1250": "cp1250",
    "windows-1251": "cp1251", "koi8-r": "koi8-r", "shift_jis": "shift_jis", "euc-jp": "euc_jp", "gbk": "gbk",
    "gb2312": "gbk", "gb18030": "gb18030", "big5": "big5", "euc-kr": "euc_kr",
}  # fmt: skip
"""What a response may call its encoding, and the codec for it; as browsers have it, Latin-1 means Windows-1252."""
_GZIP: Final = 16 + zlib.MAX_WBITS
_RAW_DEFLATE: Final = -zlib.MAX_WBITS

for _name in CHARSETS.values():
    codecs.lookup(_name)  # before the jail, where no codec could be loaded


class FetchError(OSError):
    """There is no response; `kind` is refused, timeout, too-large or failed."""

    def __init__(self, message: str, kind: FetchFailure) -> None:
        super().__init__(message)
        self.kind = kind


class FetchTimeout(FetchError, TimeoutError):
    """The response was not there in time."""


class Headers(Closed, Mapping[str, str]):
    """Headers of a response, by name, whatever its case; those that came more than once joined by commas."""

    __slots__ = ("_pairs", "_values")

    _pairs: list[tuple[str, str]]
    _values: dict[str, str]

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        values: dict[str, str] = {}
        for name, value in pairs:
            small = name.lower()
            values[small] = f"{values[small]}, {value}" if small in values else value
        object.__setattr__(self, "_pairs", pairs)
        object.__setattr__(self, "_values", values)

    def __getitem__(self, name: str) -> str:
        return self._values[_lower(name)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"<headers: {', '.join(self._values)}>"

    def get_all(self, name: str) -> list[str]:
        """Every value of a header, such as `set-cookie`, that cannot be joined."""
        small = _lower(name)
        return [value for found, value in self._pairs if found.lower() == small]


class Response(Closed):
    """One response, read whole."""

    __slots__ = ("_body", "_headers", "_status", "_url")

    _body: builtins.bytes
    _headers: Headers
    _status: int
    _url: str

    def __init__(self, message: Fetched, *, max_bytes: int) -> None:
        headers = Headers(message.headers)
        object.__setattr__(self, "_status", message.status)
        object.__setattr__(self, "_url", message.url)
        object.__setattr__(self, "_headers", headers)
        encoding = headers.get("content-encoding")
        body = message.body if encoding is None else _decompress(message.body, encoding, max_bytes)
        object.__setattr__(self, "_body", body)

    @property
    def status(self) -> int:
        """Of HTTP, such as 200."""
        return self._status

    @property
    def ok(self) -> bool:
        """Whether the status is one of success, 200 to 299."""
        return self._status in OK

    @property
    def url(self) -> str:
        """Where the response came from, after redirects."""
        return self._url

    @property
    def headers(self) -> Headers:
        """By name, whatever its case."""
        return self._headers

    def text(self) -> str:
        """The body as text, in the encoding that the response names, or UTF-8; what does not fit becomes `\ufffd`."""
        content_type = self._headers.get("content-type", "")
        _, _, charset = content_type.lower().partition("charset=")
        codec = CHARSETS.get(charset.split(";")[0].strip(" \"'"), "utf-8")
        return self._body.decode(codec, "replace")

    def json(self) -> Any:
        """The body as JSON. Raises: ValueError."""
        return from_json(self._body)

    def bytes(self) -> builtins.bytes:
        """The body."""
        return self._body

    def __repr__(self) -> str:
        return f"<response {self._status} of {self._url}>"


def _lower(name: object) -> str:
    return str.__str__(name).lower() if isinstance(name, str) else ""


def _decompress(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """Undo `content-encoding`. Not in the service: a bomb is paid for by who fetched it. Raises: FetchError."""
    for name in reversed([part.strip().lower() for part in encoding.split(",")][:4]):
        if name in {"gzip", "x-gzip"}:
            body = _inflate(body, _GZIP, max_bytes)
        elif name == "deflate":
            # Some servers send the bare stream, without the header that a first byte of 8 in its low half begins.
            body = _inflate(body, zlib.MAX_WBITS if body[:1] and body[0] & 15 == 8 else _RAW_DEFLATE, max_bytes)  # noqa: PLR2004
        elif name not in {"identity", ""}:
            break  # nobody asked for it; the body stays as it is
    return body


def _inflate(body: bytes, wbits: int, max_bytes: int) -> bytes:
    parts: list[bytes] = []
    left = max_bytes
    try:
        while body:
            stream = zlib.decompressobj(wbits)
            part = stream.decompress(body, left + 1)
            left -= len(part)
            if left < 0:
                raise FetchError(f"the response has more than {max_bytes} bytes after decompression", "too-large")
            if not stream.eof:
                raise FetchError("the response was cut off: its compressed body has no end", "failed")
            parts.append(part)
            body = stream.unused_data if wbits == _GZIP else b""
    except zlib.error as error:
        raise FetchError(f"the response cannot be decompressed: {error}", "failed") from None
    return b"".join(parts)
