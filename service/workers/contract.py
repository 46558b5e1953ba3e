"""What a worker is held to, and who wants to know what becomes of it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from service.errors import SkepError

if TYPE_CHECKING:
    from service.workers.worker import Worker


class WorkerDied(SkepError):
    """The worker ended while it loaded its workspace."""


class LoadTooLong(WorkerDied):
    """It was ended because it took too long to load; another would, too."""


class NotItsFault(WorkerDied):
    """What ended it had nothing to do with what it was to load."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLimits:
    """What one worker may do, as the service holds it to."""

    concurrency: int
    """Runs in it at once."""
    result_max_bytes: int
    logs_max_bytes: int
    frame_max_bytes: int
    """What it may send at once while it loads."""


class Owner(Protocol):
    """Who wants to know what becomes of a worker."""

    def landed(self, worker: "Worker") -> None:
        """Nothing is left of one run in it. Called once for each."""

    def heard(self, worker: "Worker") -> None:
        """It is no longer stuck, or has read what was left unread."""

    def gone(self, worker: "Worker", lost: int) -> None:
        """Its process is gone, and with it so many runs that had not landed. Called once."""
