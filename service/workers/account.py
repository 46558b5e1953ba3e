"""What one workspace has of the service, whichever of its revisions it is that runs."""

from collections.abc import Sized
from typing import Protocol


class Crew(Protocol):
    """The pool of one revision."""

    @property
    def workers(self) -> Sized: ...

    @property
    def is_busy(self) -> bool: ...

    @property
    def waited_s(self) -> float: ...

    def dispatch(self) -> None:
        """Begin what can begin."""


class Account:
    """Counted for the workspace as a whole: who runs ten revisions has no larger share than who runs one."""

    __slots__ = ("held_bytes", "pools", "running", "waiting", "workspace")

    def __init__(self, workspace: str) -> None:
        self.workspace = workspace
        self.running = 0
        """Runs under way, and what is left of those that are being unwound."""
        self.waiting = 0
        self.held_bytes = 0
        """Of large requests that are not answered yet."""
        self.pools: dict[str, Crew] = {}
        """One for what is live, and one for each other revision that runs."""

    @property
    def workers(self) -> int:
        """Those that take runs."""
        return sum(len(pool.workers) for pool in self.pools.values())

    def workers_beside(self, key: str) -> int:
        """Those of other pools that are in use. What is idle there is in nobody's way: it goes when room is wanted."""
        return sum(len(pool.workers) for other, pool in self.pools.items() if other != key and pool.is_busy)

    def take_turns(self) -> None:
        """Begin what can begin: pools share a quota, and who has waited longest comes first."""
        for pool in sorted(self.pools.values(), key=lambda pool: pool.waited_s, reverse=True):
            pool.dispatch()
