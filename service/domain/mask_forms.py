"""How a secret's value may be written: as it is, and in the encodings that libraries put texts into by themselves."""

import base64
import html
import json
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote, quote_plus

LEAST: Final = 8
"""Characters. What is shorter is not looked for: it would be found in everything."""
LINE_LEAST: Final = 16
"""The same for one line of a value."""
LINES_MAX: Final = 256
"""Of one value."""
LONG: Final = 4096
"""So many characters of a value in one of the rarer encodings: all of them would take twenty times its size."""
MIME_LINE_BYTES: Final = 57
"""So many bytes make one line of base64 as mail has it (RFC 2045): 76 characters."""
_URL_SAFE: Final = ("", "/", "-_.!~*'()", "/:?#[]@!$&'()*+,;=")
"""What is left as it is: by `quote_plus`, by `quote`, by browsers in a component, and in a whole URL."""


def forms_of(value: str) -> set[str]:
    """Every text that is to be found. Nothing for a value that is too short."""
    core = value.strip()
    if len(core) < LEAST:
        return set()
    data = core.encode()
    forms = {core, *_escaped(core), *_base64(data), *(form[:LONG] for form in (core.lower(), *_encoded(data)))}
    lines = core.splitlines()
    if len(lines) > 1:
        for line in lines[:LINES_MAX]:
            forms |= _of_line(line.strip())
    # Log entries are searched as they are written, and what is logged may be JSON itself.
    for _ in range(2):
        forms |= {_json(form) for form in forms}
    return {form for form in forms if len(form) >= LEAST}


def _of_line(line: str) -> set[str]:
    return {line, *_escaped(line)} if len(line) >= LINE_LEAST else set()


def _escaped(text: str) -> Iterator[str]:
    """As JSON, Python and HTML write texts."""
    for written in (_json(text), json.dumps(text)[1:-1]):
        yield written
        yield written.replace("/", "\\/")
    yield repr(text)[1:-1]
    yield repr(f"{text}'\"")[1:-4]  # where there is a quote of each kind, the single one is escaped
    yield ascii(text)[1:-1]
    yield repr(text.encode())[2:-1]
    yield html.escape(text[:LONG])
    yield html.escape(text[:LONG], quote=False)


def _encoded(data: bytes) -> Iterator[str]:
    data = data[:LONG]
    yield data.hex()
    yield data.hex().upper()
    if not data.isalnum():
        for written in (*(quote(data, safe=safe) for safe in _URL_SAFE), quote_plus(data)):
            yield written
            yield _lower_percents(written)


def _base64(data: bytes) -> Iterator[str]:
    for offset in range(3):
        written = _within_base64(data, offset)
        yield written
        yield written.replace("+", "-").replace("/", "_")
    if len(data) > MIME_LINE_BYTES:
        yield from base64.encodebytes(data[:LONG]).decode().splitlines()


def _within_base64(data: bytes, offset: int) -> str:
    """What base64 makes of these bytes wherever they begin: without the characters that hold bits of others."""
    written = base64.b64encode(bytes(offset) + data)
    whole = (offset + len(data)) * 8 // 6
    return written[-(-offset * 8 // 6) : whole].decode()


def _json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _lower_percents(written: str) -> str:
    pieces = written.split("%")
    return "%".join([pieces[0], *(piece[:2].lower() + piece[2:] for piece in pieces[1:])])
