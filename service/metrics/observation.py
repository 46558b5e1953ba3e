"""What is not counted but asked for when somebody wants to see it: how things stand."""

from collections.abc import Mapping
from typing import Literal

import msgspec

WorkerState = Literal["starting", "idle", "busy", "retiring"]


class Live(msgspec.Struct, frozen=True):
    """How one workspace stands."""

    waiting: int
    """Runs."""
    workers: int


class Observation(msgspec.Struct, frozen=True):
    """How the service stands."""

    runs_running: int = 0
    runs_waiting: int = 0
    workers: Mapping[WorkerState, int] = {}
    """States that are not named have none."""
    cache_bytes: int = 0
    workspaces: Mapping[str, Live] = {}
    """Those that have series; to ask for all of them would hold up the service where there are thousands."""


class Used(msgspec.Struct, frozen=True):
    """What the workers of one workspace use."""

    memory_bytes: int
    cpu_seconds: float


class Usage(msgspec.Struct, frozen=True):
    """What all workers use, as last sampled."""

    memory_sum_bytes: int = 0
    memory_max_bytes: int = 0
    """Of the largest worker."""
    cpu_seconds: float = 0.0
    """Of all that have lived; never goes down."""
    workspaces: Mapping[str, Used] = {}


class HistoryState(msgspec.Struct, frozen=True):
    """How the database and the history of runs stand; counts are since the start."""

    is_up: bool = True
    written: int = 0
    dropped: int = 0
    expired: int = 0
    waiting: int = 0
