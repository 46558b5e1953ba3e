"""A run's output: `print` and `log` become entries that leave the worker at once and in order.

Entries are sent as they are made, not with the result: what a run has said must survive a worker that is killed under
it. After a burst they are sent in groups, so that a flood costs the service frames in proportion to its time.
"""

import time
from datetime import UTC, datetime
from typing import Any, Final

from sandbox.outbox import Outbox
from sandbox.protocol import Level, Log
from sandbox.python.tracebacks import type_name
from sandbox.python.values import encode_field, encode_text

BURST_ENTRIES: Final = 64
"""So many entries of a run are sent each on its own."""
GROUP_INTERVAL_S: Final = 0.002
_OWN_FIELDS: Final = frozenset({"time", "level", "message"})


class Console:
    """Where one run's entries go, up to `max_bytes` of them. Once closed, everything goes nowhere."""

    __slots__ = (
        "_closed", "_dropped", "_entries", "_grouped", "_left_bytes", "_line", "_line_length", "_outbox", "_run",
        "_sent_at",
    )  # fmt: skip

    def __init__(self, run: int, *, outbox: Outbox, max_bytes: int) -> None:
        self._run = run
        self._outbox = outbox
        self._left_bytes = max_bytes
        self._closed = False
        self._dropped = 0
        self._entries = 0
        self._grouped: list[bytes] = []
        self._sent_at = 0.0
        self._line: list[str] = []
        self._line_length = 0

    def print(self, *values: object, sep: str | None = " ", end: str | None = "\n", file: Any = None) -> None:
        """What `print` is in tenant code: each line that is ended is an entry of level info."""
        # Values are asked first: their text is tenant code, and must not find a line half changed.
        text = str.join(_exact("sep", sep, " "), [str(value) for value in values]) + _exact("end", end, "\n")
        if file is not None:
            file.write(text)
            return
        if self._closed or not text:
            return
        self._line.append(text)
        self._line_length += len(text)
        # A line that never ends is cut, or it would be a way around the limit.
        if text.endswith("\n") or self._line_length > self._left_bytes:
            self.end_line()

    def write(self, level: Level, message: str, fields: dict[str, object]) -> None:
        """Add one entry; `fields` become its extra members."""
        if self._closed:
            return
        self.end_line()
        exact = str.__str__(message)
        if self._dropped or len(exact) > self._left_bytes:
            self._dropped += 1
            return
        extra: dict[str, bytes] = {}
        for name, value in fields.items():
            # A tenant's class of str decides what it equals and how it hashes, and the entry's own members come once.
            plain = str.__str__(name)
            own = f"{plain}_" if plain in _OWN_FIELDS else plain
            extra[own] = encode_field(value, max_bytes=self._left_bytes)
        self._add(_entry(level, exact, extra))

    def end_line(self) -> None:
        """Make an entry of what was printed so far."""
        if self._line:
            line, self._line, self._line_length = "".join(self._line), [], 0
            self.write("info", line.removesuffix("\n"), {})

    def finish(self) -> None:
        """Send everything, say what was dropped, and close."""
        self.close()

    def close(self) -> None:
        """Send what was kept, half a line too, and what was dropped as a number; whatever comes later goes nowhere."""
        if self._closed:
            return
        self.end_line()
        self._closed = True
        if self._dropped:
            message = f"{self._dropped} log entries were dropped: the run's logs are full"
            self._grouped.append(_entry("warning", message, {}))
        self._send()

    def _add(self, entry: bytes) -> None:
        if self._closed:  # by the alarm, while the entry was made
            return
        if self._dropped or len(entry) > self._left_bytes:
            self._dropped += 1
            return
        self._left_bytes -= len(entry)
        self._entries += 1
        self._grouped.append(entry)
        if self._entries <= BURST_ENTRIES or time.monotonic() - self._sent_at >= GROUP_INTERVAL_S:
            self._send_now()
        elif len(self._grouped) == 1:
            self._outbox.later(GROUP_INTERVAL_S, self._send_now)

    def _send_now(self) -> None:
        self._send()
        self._outbox.flush()

    def _send(self) -> None:
        # Swapped before it is sent: the alarm may close this console in between.
        entries, self._grouped = self._grouped, []
        if entries:
            self._outbox.put(Log(run=self._run, entries=entries))
            self._sent_at = time.monotonic()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _entry(level: Level, message: str, extra: dict[str, bytes]) -> bytes:
    members = {"time": encode_text(_now()), "level": encode_text(level), "message": encode_text(message)}
    # Once more by what is written: two names may differ only in what is no character.
    written = {encode_text(name): value for name, value in (members | extra).items()}
    return b"{" + b",".join([name + b":" + value for name, value in written.items()]) + b"}"


def _exact(name: str, given: object, default: str) -> str:
    if given is None:
        return default
    if not issubclass(type(given), str):
        raise TypeError(f"{name} must be None or a string, not {type_name(given)}")
    return str.__str__(given)
