"""How many follow the logs of runs; the workspaces share them out."""

import asyncio
from typing import Final
from weakref import WeakSet

from service.domain.fairness import fair_share
from service.errors import TooMany

AT_ONCE: Final = 16


class Followers:
    """Those that do. One that was never served, since its caller had gone, is forgotten when nobody holds it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._of: dict[str, WeakSet[object]] = {}
        self.turn = asyncio.Semaphore(AT_ONCE)
        """Held by who is about to send: all readers of a run hear of an entry at the same time, and nobody else would
        be served until the last of them had it.
        """

    def come(self, stream: object, workspace: str) -> None:
        """One more of this workspace. Raises: TooMany."""
        self._of = {name: streams for name, streams in self._of.items() if streams}
        free = self._most - sum(map(len, self._of.values()))
        streams = self._of.setdefault(workspace, WeakSet())
        if not fair_share(len(streams), free):
            raise TooMany("As many readers follow the logs of this workspace's runs as may.")
        streams.add(stream)

    def go(self, stream: object, workspace: str) -> None:
        """One less."""
        if workspace in self._of:
            self._of[workspace].discard(stream)
