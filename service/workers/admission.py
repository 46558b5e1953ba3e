"""How many runs the whole service takes on, and whose turn it is when there is room for one more."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from service.domain.fairness import fair_share


class Account(Protocol):
    """What one workspace has of the whole service's; counted here."""

    running: int
    held_bytes: int


class Claimant(Protocol):
    """Who has runs to begin: a pool."""

    @property
    def account(self) -> Account: ...

    def begin_next(self) -> bool:
        """Begin the run that has waited longest, if there is one and a worker with room for it."""


class Admission:
    """Runs under way and waiting in the whole service, and what they hold of its memory.

    While it is full, workspaces with runs that could begin stand in one line, each once: one with a thousand of them
    delays one with a single run by one turn.
    """

    def __init__(
        self,
        *,
        runs_max: int,
        waiting_max: int,
        held_max_bytes: int,
        quota_of: Callable[[str], int] = lambda _workspace: 0,
    ) -> None:
        self.quota_of = quota_of
        """Runs that one workspace may have under way; 0 for as many as there is room for."""
        self.running = 0
        self.waiting = 0
        self._held_bytes = 0
        self._held_max_bytes = held_max_bytes
        self._runs_max = runs_max
        self._waiting_max = waiting_max
        self._line: deque[Claimant] = deque()

    def may_begin(self, account: Account) -> bool:
        """Whether one more run of this one may begin. It is ahead of nobody who could begin: while there is room, those
        in line have more than their share.
        """
        return fair_share(account.running, self._runs_max - self.running)

    def begin(self, account: Account) -> None:
        """One has begun."""
        self.running += 1
        account.running += 1

    def end(self, account: Account) -> None:
        """Nothing is left of one: it is the turn of whoever is next in line."""
        self.running -= 1
        account.running -= 1
        if self._line:
            self._deal()

    def may_wait(self, own: int) -> bool:
        """Whether one more run may wait where so many of the same workspace wait already."""
        return fair_share(own, self._waiting_max - self.waiting)

    @contextmanager
    def holding(self, account: Account, size_bytes: int) -> Iterator[bool]:
        """Whether there is room for a request of this size, which is held until it is answered."""
        free_bytes = self._held_max_bytes - self._held_bytes - size_bytes
        if not fair_share(account.held_bytes + size_bytes, free_bytes):
            yield False
            return
        self._held_bytes += size_bytes
        account.held_bytes += size_bytes
        try:
            yield True
        finally:
            self._held_bytes -= size_bytes
            account.held_bytes -= size_bytes

    def line_up(self, claimant: Claimant) -> None:
        """It has a run and a worker for it: let it begin when it is its turn, which may be now."""
        if claimant not in self._line:
            self._line.append(claimant)
        self._deal()

    def _deal(self) -> None:
        """One turn after the other, until there is no room or nobody who may use it."""
        has_changed = True
        while has_changed:
            has_changed = False
            for _ in range(len(self._line)):
                if self.running >= self._runs_max:
                    return
                claimant = self._line.popleft()
                if not fair_share(claimant.account.running, self._runs_max - self.running):
                    self._line.append(claimant)
                elif claimant.begin_next():
                    # To the end of the line, whether it has more or not: its next turn will tell.
                    self._line.append(claimant)
                    has_changed = True
