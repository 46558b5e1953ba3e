"""Points in time: milliseconds since 1970 inside, RFC 3339 outside, always UTC."""

import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

LAST_MS: Final = 253_402_300_799_999
"""The end of the year 9999, after which RFC 3339 has no way to say it."""


def now_ms() -> int:
    """Now."""
    return time.time_ns() // 1_000_000


def rfc3339(ms: int) -> str:
    """As `2026-01-31T12:00:00.000Z`."""
    return f"{_whole(ms // 1000)}.{ms % 1000:03d}Z"


@lru_cache(maxsize=64)
def _whole(second: int) -> str:
    """Kept: lists are long, and what follows one another in them mostly happened within a second."""
    return datetime.fromtimestamp(second, UTC).isoformat()[:19]


def parse_rfc3339(text: str) -> int:
    """Milliseconds since 1970. Raises: ValueError for what is no time, or says no offset from UTC."""
    # datetime reads much that is no RFC 3339 (a date alone, week dates): the separator and the offset tell.
    if len(text) < len("2026-01-31T12:00:00Z") or text[10] not in "Tt ":
        raise ValueError("must be a time such as 2026-01-31T12:00:00Z")
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError:
        raise ValueError("must be a time such as 2026-01-31T12:00:00Z") from None
    if moment.tzinfo is None:
        raise ValueError("must say its offset from UTC, such as the Z in 2026-01-31T12:00:00Z")
    return int(moment.timestamp() * 1000)
