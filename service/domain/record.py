"""What is kept of a run when it is over."""

from typing import Final, Literal

import msgspec

Status = Literal["queued", "running", "succeeded", "failed", "timed_out", "cancelled", "lost"]
STATUSES: Final[tuple[Status, ...]] = ("queued", "running", "succeeded", "failed", "timed_out", "cancelled", "lost")
"""Their places are what the database knows them by."""
FINISHED: Final[tuple[Status, ...]] = STATUSES[2:]


class Summary(msgspec.Struct, frozen=True):
    """A run as it stands in a list."""

    id: str
    function: str
    """Empty for a body that was run once."""
    status: Status
    revision: int | None
    key: str
    """The name of the key it was run with."""
    queued_ms: int
    started_ms: int | None
    finished_ms: int
    duration_ms: float | None


class Record(Summary, frozen=True):
    """All that is kept of one."""

    result_json: bytes | None
    error_json: bytes | None
    logs_json: bytes
    is_truncated: bool
    """Some of it was too large to be kept."""
