"""A run's output: `print` and `log` become entries that leave the worker at once and in order.

Entries are sent as they are made, not with the result: what a run has said must survive a worker that is killed under
it. After a burst they are sent in groups, so that a flood costs the service frames in proportion to its time.
"""

import time
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from sandbox.outbox import Outbox
from sandbox.protocol import Level, Log
from sandbox.python.values import encode_field

BURST_ENTRIES: Final = 64
"""So many entries of a run are sent each on its own."""
GROUP_INTERVAL_S: Final = 0.002
_OWN_FIELDS: Final = frozenset({"time", "level", "message"})


class Console:
    """Where one run's entries go, up to `max_bytes` of them. Once closed, everything goes nowhere."""

    __slots__ = ("_closed", "_dropped", "_entries", "_grouped", "_left_bytes", "_line", "_outbox", "_run", "_sent_at")

    def __init__(self, run: int, *, outbox: Outbox, max_bytes: int) -> None:
        self._run = run
        self._outbox = outbox
        self._left_bytes = max_bytes
        self._closed = False
        self._dropped = 0
        self._entries = 0
        self._grouped: list[bytes] = []
        self._sent_at = 0.0
        self._line = ""

    def print(self, *values: object, sep: str | None = " ", end: str | None = "\n", file: Any = None) -> None:
        """What `print` is in tenant code: each line that is ended is an entry of level info."""
        text = (" " if sep is None else sep).join([str(value) for value in values]) + ("\n" if end is None else end)
        if file is not None:
            file.write(text)
            return
        if self._closed:
            return
        self._line += text
        if self._line.endswith("\n"):
            line, self._line = self._line[:-1], ""
            self.write("info", line, {})
        elif len(self._line) > self._left_bytes:
            # A line that never ends is cut, or it would be a way around the limit.
            self.end_line()

    def write(self, level: Level, message: str, fields: dict[str, object]) -> None:
        """Add one entry; `fields` become its extra members."""
        if self._closed:
            return
        if self._line:
            self.end_line()
        entry: dict[str, object] = {"time": _now(), "level": level, "message": message}
        for name, value in fields.items():
            entry[f"{name}_" if name in _OWN_FIELDS else name] = encode_field(value)
        self._add(_encode(entry))

    def end_line(self) -> None:
        """Make an entry of what was printed without a line end."""
        if self._line:
            line, self._line = self._line, ""
            self.write("info", line, {})

    def finish(self) -> None:
        """Send everything, say what was dropped, and close."""
        if self._closed:
            return
        self.end_line()
        self.close()

    def close(self) -> None:
        """Send what was kept and what was dropped as a number; whatever comes later goes nowhere."""
        if self._closed:
            return
        self._closed = True
        if self._dropped:
            message = f"{self._dropped} log entries were dropped: the run's logs are full"
            self._grouped.append(_encode({"time": _now(), "level": "warning", "message": message}))
        self._send()

    def _add(self, entry: bytes) -> None:
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


def _encode(entry: dict[str, object]) -> bytes:
    try:
        return orjson.dumps(entry)
    except (TypeError, ValueError):  # lone surrogates: orjson refuses what is not UTF-8
        readable = {name: _readable(value) for name, value in entry.items()}
        return orjson.dumps({_readable(name): value for name, value in readable.items()})


def _readable(value: object) -> object:
    return str(value).encode("utf-8", "backslashreplace").decode()
