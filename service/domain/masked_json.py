"""Parts of a JSON text replaced, so that it stays JSON."""

import re
from collections.abc import Sequence
from typing import Final

import msgspec

_STRINGS: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_OF_NUMBERS: Final = "-+.0123456789eE"
_NUMBER: Final = re.compile(rf"[{re.escape(_OF_NUMBERS)}]*+")
_checked: Final = msgspec.json.Decoder(msgspec.Raw)


def replaced_in_json(text: str, spans: Sequence[tuple[int, int]], word: str) -> str | None:
    """The text with a word for each of these spans: within a string in its place, and of a number, which becomes a
    string, for all of it. None where that cannot be done, as where a span covers the end of a string.
    """
    pieces: list[str] = []
    at = 0
    strings = _STRINGS.finditer(text)
    string = next(strings, None)
    for start, end in spans:
        if end <= at:
            continue
        while string is not None and string.end() <= start:
            string = next(strings, None)
        if string is not None and string.start() < start and end < string.end():
            pieces += text[at:start], word
            at = end
        elif string is None or end <= string.start():
            before = text[at:start].rstrip(_OF_NUMBERS)
            number = _NUMBER.match(text, end)
            pieces += before, f'"{word}"'
            at = end if number is None else number.end()
        else:
            return None
    masked = "".join([*pieces, text[at:]])
    try:
        _checked.decode(masked)
    except (msgspec.MsgspecError, RecursionError):
        return None
    return masked
