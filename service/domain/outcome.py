"""How a run can end. These are values: what tenant code does is never an exception of ours.

Structs and not dataclasses: one is made for each run, and a frozen dataclass takes ten times as long to make.
"""

from typing import Literal

import msgspec

from service.errors import CodeError, Problem

Logs = tuple[bytes, ...]
"""Log entries in order, each a JSON object in bytes."""


class Returned(msgspec.Struct, frozen=True):
    """The function returned."""

    result_json: bytes
    logs: Logs
    duration_ms: float


class Raised(msgspec.Struct, frozen=True):
    """The function raised, or returned something that has no JSON form."""

    type: str
    message: str
    function: str
    line: int
    traceback: str
    logs: Logs
    duration_ms: float


class TimedOut(msgspec.Struct, frozen=True):
    """The deadline passed."""

    limit_ms: int
    logs: Logs
    duration_ms: float


class MemoryExceeded(msgspec.Struct, frozen=True):
    """The run needed more memory than its worker may have. The worker lives on."""

    logs: Logs
    duration_ms: float


class Cancelled(msgspec.Struct, frozen=True):
    """Somebody else than its caller has called the run off."""

    logs: Logs
    duration_ms: float


class WorkerLost(msgspec.Struct, frozen=True):
    """The worker died under the run; safe to repeat if the function is."""

    reason: str
    logs: Logs


class ParametersRefused(msgspec.Struct, frozen=True):
    """The run never began: its parameters do not fit the function's schema."""

    problems: tuple[Problem, ...]


class CodeRefused(msgspec.Struct, frozen=True):
    """The inline run never began: its code was refused."""

    errors: list[CodeError]


class Rejected(msgspec.Struct, frozen=True):
    """The run never began: there was no room for it."""

    reason: Literal["queue full", "waited too long"]
    retry_after_s: int


Outcome = (
    Returned | Raised | TimedOut | MemoryExceeded | Cancelled | WorkerLost | ParametersRefused | CodeRefused | Rejected
)  # fmt: skip


class Completed(msgspec.Struct, frozen=True):
    """How a run ended, and what it took around the worker's own time."""

    outcome: Outcome
    queue_ms: float
    cold_ms: float | None
    """The start of a worker, if the run had to wait for one."""
    revision: int | None = None
    """What it ran, where that was chosen: by its caller, or by an alias."""
