"""Something that only so many may do at a time, shared out among the workspaces."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from service.domain.fairness import fair_share
from service.errors import TooMany


class Shares:
    """Who does it now. `too_many` is what others are told."""

    def __init__(self, most: int, too_many: str) -> None:
        self._most = most
        self._too_many = too_many
        self._of: Counter[str] = Counter()

    @contextmanager
    def one_of(self, workspace: str) -> Iterator[None]:
        """One more, for as long as this is entered. Raises: TooMany."""
        if not fair_share(self._of[workspace], self._most - self._of.total()):
            raise TooMany(self._too_many)
        self._of[workspace] += 1
        try:
            yield
        finally:
            self._of[workspace] -= 1
            if not self._of[workspace]:
                del self._of[workspace]
