"""How many fetches may be under way at the same time, so that no workspace makes another wait for a connection."""

from collections import Counter
from typing import Final

UNDER_WAY_MAX: Final = 2000
"""Of all workspaces: a connection each at the most."""


RESERVE: Final = 8
"""So many times what a workspace has must be left for one more."""


class Shares:
    """Counts fetches under way.

    The fuller it gets, the less a workspace may have: a fraction of what is left, so that whoever comes next finds
    room. Nobody waits. Who has none gets one as long as there is any.
    """

    def __init__(self, under_way_max: int = UNDER_WAY_MAX) -> None:
        self._left = under_way_max
        self._of: Counter[str] = Counter()

    def take(self, workspace: str) -> bool:
        """Count one more; False, and nothing counted, if that is more than the workspace's share."""
        if self._of.get(workspace, 0) * RESERVE >= self._left:
            return False
        self._of[workspace] += 1
        self._left -= 1
        return True

    def give_back(self, workspace: str) -> None:
        """One of its fetches is over."""
        self._left += 1
        self._of[workspace] -= 1
        if not self._of[workspace]:
            del self._of[workspace]
