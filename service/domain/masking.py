"""Secrets in what comes out of a worker: found, and replaced by `***`.

A value is found wherever it, or one of its forms, begins with its first `HEAD` characters; it is masked for as far as
it goes on, so that one that was cut is masked too. The time this takes is in proportion to the text and not to the
secrets: a text is looked at in steps of `STRIDE`, and what has more of secrets' beginnings in it than there is effort
for is masked whole from there on.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from sandbox import protocol
from service.domain.mask_forms import LEAST, forms_of
from service.domain.masked_json import replaced_in_json

MASKED: Final = "***"
HEAD: Final = 16
GRAM: Final = 4
STRIDE: Final = LEAST - GRAM + 1
"""Every text of `LEAST` characters has a gram that begins at a multiple of this."""
EFFORT: Final = 20_000
"""For one call; a unit takes some 0.3 µs."""
_WINDOW: Final = 64
_ESCAPES_SEEN_MAX: Final = 64

_any_json: Final = msgspec.json.Decoder()
_log_entry: Final = msgspec.json.Decoder(protocol.LogEntry)

Span = tuple[int, int]


class Effort:
    """What may still be done for one call, and what was."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = EFFORT

    @property
    def spent(self) -> int:
        """In units."""
        return EFFORT - self.left


class Mask:
    """Knows the values, and hides them. Never changes; its repr shows none."""

    __slots__ = ("__weakref__", "_grams", "_heads", "_needs", "_patterns")

    def __init__(self, values: Iterable[str], *, patterns: Iterable[str] = ()) -> None:
        self._patterns = sorted({*patterns, *(form for value in values for form in forms_of(value))})
        self._needs: list[str] = []
        """How patterns begin, in order, none the beginning of another: at most one of those begins any text."""
        for pattern in self._patterns:
            if not self._needs or not pattern.startswith(self._needs[-1]):
                self._needs.append(pattern[:HEAD])
        self._heads = frozenset(need[:LEAST] for need in self._needs)
        grams: dict[str, set[int]] = {}
        for head in self._heads:
            for offset in range(STRIDE):
                grams.setdefault(head[offset : offset + GRAM], set()).add(offset)
        self._grams = {gram: tuple(sorted(offsets, reverse=True)) for gram, offsets in grams.items()}

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def __or__(self, other: "Mask") -> "Mask":
        """Hides what either hides."""
        return Mask((), patterns=(*self._patterns, *other._patterns))

    def text(self, text: str, effort: Effort | None = None) -> str:
        """A text in which no value can be read."""
        spans = self._spans(text, effort or Effort())
        if not spans:
            return text
        pieces: list[str] = []
        at = 0
        for start, end in spans:
            pieces += text[at:start], MASKED
            at = end
        return "".join([*pieces, text[at:]])

    def json(self, value: bytes) -> bytes:
        """JSON in whose texts, names and numbers no value can be read: still JSON, if need be `"***"` as a whole."""
        masked = self._json(value, Effort())
        return b'"***"' if masked is None else masked

    def entries(self, entries: Sequence[bytes]) -> tuple[list[bytes], int]:
        """The same of entries of a run's logs, which stay that; and the effort it took."""
        effort = Effort()
        return [self._entry(entry, effort) for entry in entries], effort.spent

    def _entry(self, entry: bytes, effort: Effort) -> bytes:
        masked = self._json(entry, effort)
        if masked is entry:
            return entry
        try:
            if masked is not None:
                _log_entry.decode(masked)
                return masked
        except msgspec.MsgspecError:
            pass  # a value that is a word of ours, such as a level
        plain = _log_entry.decode(entry)
        return msgspec.json.encode(protocol.LogEntry(self.text(plain.time, effort), plain.level, MASKED))

    def _json(self, value: bytes, effort: Effort) -> bytes | None:
        """The very same bytes where there is nothing to hide, None where it cannot be hidden in a part of them."""
        if b"\\u" in value or b"\\/" in value:
            # In escapes anything can be written in many ways; there is one in which it is looked for.
            try:
                value = msgspec.json.encode(_any_json.decode(value))
            except (msgspec.MsgspecError, RecursionError, ValueError, OverflowError):
                return None
            effort.left -= len(value) // _WINDOW
        text = value.decode()
        spans = self._spans(text, effort, is_json=True)
        if not spans:
            return value
        effort.left -= text.count('"')
        masked = None if effort.left < 0 else replaced_in_json(text, spans, MASKED)
        return None if masked is None else masked.encode()

    def _spans(self, text: str, effort: Effort, *, is_json: bool = False) -> list[Span]:
        """What is to be masked, in order and apart."""
        grams, heads = self._grams, self._heads
        spans: list[Span] = []
        places = [
            place for place in range(0, len(text) - GRAM + 1, STRIDE) if text[place : place + GRAM] in grams
        ]  # fmt: skip
        for place in places:
            effort.left -= 1
            for offset in grams[text[place : place + GRAM]]:
                start = place - offset
                if start < 0 or text[start : start + LEAST] not in heads:
                    continue
                reach = self._reach(text, start)
                effort.left -= 4 + reach // _WINDOW
                # In JSON what follows a backslash is not what it looks like.
                if reach and not (is_json and _is_escaped(text, start)):
                    _add(spans, start, start + reach)
            if effort.left < 0:
                _add(spans, place + 1, len(text))
                break
        return spans

    def _reach(self, text: str, start: int) -> int:
        """How much of a text is the beginning of a form; 0 if it is not enough to be one."""
        window = text[start : start + HEAD]
        need = bisect_right(self._needs, window) - 1
        if need < 0 or not window.startswith(self._needs[need]):
            return 0
        size = _WINDOW
        while True:
            window = text[start : start + size]
            # What has most in common with it stands beside it.
            place = bisect_right(self._patterns, window)
            reach = max(_common(window, pattern) for pattern in self._patterns[max(place - 1, 0) : place + 1])
            if reach < size:
                return reach
            size *= 4


def _common(window: str, pattern: str) -> int:
    """How many characters two texts have in common from their beginnings on."""
    if pattern.startswith(window):
        return len(window)
    low, high = 0, min(len(window), len(pattern))
    while low < high:
        middle = (low + high + 1) // 2
        if pattern.startswith(window[:middle]):
            low = middle
        else:
            high = middle - 1
    return low


def _add(spans: list[Span], start: int, end: int) -> None:
    if spans and start <= spans[-1][1]:
        spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
    elif start < end:
        spans.append((start, end))


def _is_escaped(text: str, start: int) -> bool:
    before = text[max(0, start - _ESCAPES_SEEN_MAX) : start]
    return (len(before) - len(before.rstrip("\\"))) % 2 == 1
