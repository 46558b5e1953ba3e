"""How a run can end. These are values: what tenant code does is never an exception of ours."""

from dataclasses import dataclass
from typing import Literal

from service.errors import CodeError, Problem

Logs = tuple[bytes, ...]
"""Log entries in order, each a JSON object in bytes."""


@dataclass(frozen=True, slots=True)
class Returned:
    """The function returned."""

    result_json: bytes
    logs: Logs
    duration_ms: float


@dataclass(frozen=True, slots=True)
class Raised:
    """The function raised, or returned something that has no JSON form."""

    type: str
    message: str
    function: str
    line: int
    traceback: str
    logs: Logs
    duration_ms: float


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The deadline passed."""

    limit_ms: int
    logs: Logs
    duration_ms: float


@dataclass(frozen=True, slots=True)
class MemoryExceeded:
    """The run needed more memory than its worker may have. The worker lives on."""

    logs: Logs
    duration_ms: float


@dataclass(frozen=True, slots=True)
class WorkerLost:
    """The worker died under the run; safe to repeat if the function is."""

    reason: str
    logs: Logs


@dataclass(frozen=True, slots=True)
class ParametersRefused:
    """The run never began: its parameters do not fit the function's schema."""

    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class CodeRefused:
    """The inline run never began: its code was refused."""

    errors: tuple[CodeError, ...]


@dataclass(frozen=True, slots=True)
class Rejected:
    """The run never began: there was no room for it."""

    reason: Literal["queue full", "waited too long"]
    retry_after_s: int


Outcome = (
    Returned | Raised | TimedOut | MemoryExceeded | WorkerLost | ParametersRefused | CodeRefused | Rejected
)  # fmt: skip
