"""What the pools of all workspaces share, and what their parts ask of each other."""

from dataclasses import dataclass
from typing import Protocol

from service.workers.admission import Admission
from service.workers.contract import Owner
from service.workers.launcher import Launcher, Package
from service.workers.worker import Worker


class NotStarted(Exception):
    """No worker could be started for a run; `cause` says why. One for each run, since each raises its own."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Source(Protocol):
    """Where definitions come from."""

    async def find(self, name: str) -> Package:
        """What a workspace is now. Raises: SkepError."""

    async def keep(self, name: str, package: Package) -> None:
        """Store a bundle that a worker had to make."""


@dataclass(frozen=True, slots=True)
class Common:
    """What the pools of all workspaces share."""

    launcher: Launcher
    admission: Admission
    source: Source


class FleetOwner(Owner, Protocol):
    """Who runs something in the workers."""

    @property
    def is_at_quota(self) -> bool:
        """Whether nothing may begin, however many workers there were."""

    def adopted(self, worker: Worker) -> None:
        """There is one more."""

    def renewed(self) -> None:
        """The version may be another."""
