"""YAML as it is written here: for people and their diffs, and read back exactly.

Keys keep their order, text of several lines is a literal block, lists of short things stand on one line. Whatever
an older reader could take for something else (`no`, `1e3`, `2024-01-01`) is quoted. Written by hand because libyaml's
emitter chooses styles by rules of its own, and what it writes for leading blanks it does not always read back.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

INDENT: Final = 2
_FLOW_DEPTH: Final = 10
"""From this depth on everything stands on one line: indentation must not multiply the size of what is nested deeply."""
_SIMPLE_KEY_MAX: Final = 500
"""Readers give up on a key whose colon is more than 1024 characters away; beyond, a key is written with `?`."""

# A letter or underscore first, so that it is no number and no date to anybody; nothing in it that YAML gives a meaning.
_PLAIN: Final = re.compile(r"[^\W\d](?:[\w ./()'!+=-]*[\w./()'!+=-])?")
_OTHERWISE_READ: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
# Everything printable but the characters that some readers take for line breaks and others drop.
_LITERAL: Final = re.compile("[\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]*")
_ESCAPED: Final = re.compile(
    '["\\\\]|[^\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]'
)
_SHORT_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0"}


def dump_yaml(document: object) -> bytes:
    """A document of JSON values as YAML in UTF-8: `load_yaml` gives back the same values in the same order.

    It must have passed `check_values`: this recurses once a level.
    """
    lines = _entries(document, 0, 1) if _is_block(document, 1) else iter([_flow(document)])
    return "".join(f"{line}\n" for line in lines).encode()


def _is_block(value: object, depth: int) -> bool:
    """Whether a value takes lines of its own, below its key."""
    if depth >= _FLOW_DEPTH or not value:
        return False
    return isinstance(value, dict) or (isinstance(value, list) and any(_is_tall(item) for item in value))


def _is_tall(item: object) -> bool:
    return bool(item) and (isinstance(item, dict | list) or (isinstance(item, str) and _is_literal(item)))


def _entries(value: Any, indent: int, depth: int) -> Iterator[str]:
    """The lines of a mapping or sequence that stands at column `indent`."""
    margin = " " * indent
    if isinstance(value, list):
        for item in value:
            yield from _entry(f"{margin}-", item, indent, depth)
        return
    for key, item in value.items():
        text = _scalar(key)
        if len(text) > _SIMPLE_KEY_MAX:
            yield f"{margin}? {text}"
            text = ""
        yield from _entry(f"{margin}{text}:", item, indent, depth)


def _entry(head: str, item: Any, indent: int, depth: int) -> Iterator[str]:
    """What follows a key's colon or a dash, on its line and below."""
    inner = indent + INDENT
    if isinstance(item, str) and _is_literal(item):
        yield f"{head} {_literal_header(item)}"
        for line in item.removesuffix("\n").split("\n"):
            yield f"{' ' * inner}{line}" if line else ""
    elif _is_block(item, depth + 1):
        lines = _entries(item, inner, depth + 1)
        if isinstance(item, dict) and head.endswith("-"):
            yield f"{head} {next(lines)[inner:]}"
        else:
            yield head
        yield from lines
    else:
        yield f"{head} {_flow(item)}"


def _is_literal(text: str) -> bool:
    return "\n" in text and bool(text.strip("\n")) and _LITERAL.fullmatch(text) is not None


def _literal_header(text: str) -> str:
    # Readers find the indentation by the first line that is not empty; where that line misleads, it is said.
    indicator = str(INDENT) if text[0] in " \t\n" else ""
    if not text.endswith("\n"):
        return f"|{indicator}-"
    return f"|{indicator}+" if text.endswith("\n\n") else f"|{indicator}"


def _flow(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, dict):
        return f"{{{', '.join(_flow_entry(key, item) for key, item in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_flow, value))}]"
    return _scalar(value)


def _flow_entry(key: str, item: Any) -> str:
    text = _scalar(key)
    return f"{text}: {_flow(item)}" if len(text) <= _SIMPLE_KEY_MAX else f"? {text} : {_flow(item)}"


def _scalar(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            text = repr(value)
            return text if "." in text else text.replace("e", ".0e")  # YAML 1.1 takes 1e+16 for a word
        case str():
            if _PLAIN.fullmatch(value) and value.lower() not in _OTHERWISE_READ:
                return value
            return f'"{_ESCAPED.sub(_escape, value)}"'
        case _:
            raise TypeError(f"no JSON value: {type(value).__name__}")


def _escape(match: re.Match[str]) -> str:
    char = match[0]
    code = ord(char)
    return _SHORT_ESCAPES.get(char) or (f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}")  # noqa: PLR2004 (a byte)
