"""Lines of the log that are formatted by hand and written together.

For what happens so often that a line through the structured log would cost more than the thing itself.
"""

import asyncio
import time
from typing import Final

import orjson

from service import logs

FLUSH_S: Final = 0.02


class LogLines:
    """Lines that wait to be written together, at most `FLUSH_S`. For when `logs.writes_json()` says so."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._ms = 0
        self._stamp = ""

    def add(self, members: str, *, level: str = "info") -> None:
        """One line: members of a JSON object, without its braces; the time and the level are put before them."""
        if not self._lines:
            asyncio.get_running_loop().call_later(FLUSH_S, self.flush)
        self._lines.append(f'{{"timestamp":"{self._now()}","level":"{level}",{members}}}\n')

    def flush(self) -> None:
        """Write what waits."""
        lines, self._lines = self._lines, []
        if lines:
            logs.write_lines("".join(lines).encode())

    def _now(self) -> str:
        now_ms = time.time_ns() // 1_000_000
        if now_ms != self._ms:
            seconds, ms = divmod(now_ms, 1000)
            self._ms, self._stamp = now_ms, time.strftime(f"%Y-%m-%dT%H:%M:%S.{ms:03}Z", time.gmtime(seconds))
        return self._stamp


def quote(text: str | None) -> str:
    """A JSON string, or null."""
    if text is not None and text.isalnum() and text.isascii():
        return f'"{text}"'
    try:
        return orjson.dumps(text).decode()
    except TypeError:  # half of a surrogate pair
        return orjson.dumps((text or "").encode("utf-8", "backslashreplace").decode()).decode()
