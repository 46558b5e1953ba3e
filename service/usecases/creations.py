"""How many workspaces there may be: held when one is created, so that the last place is given to one alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from service.errors import WorkspacesFull
from service.storage.workspaces import Volume

COUNTED_FOR_S: Final = 10.0
"""Folders that come and go by other hands are noticed after so long, by the next creation."""
FULL_FOR_S: Final = 1.0
"""The same when there seems to be no room: who is refused may have somebody make some."""


class Creations:
    """Names on the volume and those about to be there. `most`: 0 for any number."""

    def __init__(self, volume: Volume, most: int) -> None:
        self._volume = volume
        self._most = most
        self._found: set[str] = set()
        """On the volume when it was last looked at."""
        self._created: set[str] = set()
        """Since then."""
        self._under_way: set[str] = set()
        self._counted_at = -COUNTED_FOR_S

    @asynccontextmanager
    async def room_for(self, name: str, *, dry_run: bool = False) -> AsyncIterator[None]:
        """Hold a place while a workspace is created; one at a time for each name. Raises: WorkspacesFull."""
        if not self._most:
            yield
            return
        self._under_way.add(name)
        try:
            age_s = asyncio.get_running_loop().time() - self._counted_at
            if age_s >= COUNTED_FOR_S or (age_s >= FULL_FOR_S and self._is_over()):
                await self._look()
            if self._is_over():
                raise WorkspacesFull(self._most)
            yield
            if not dry_run:
                self._created.add(name)
        finally:
            self._under_way.discard(name)

    def deleted(self, name: str) -> None:
        """There is room for another."""
        self._found.discard(name)
        self._created.discard(name)

    def _is_over(self) -> bool:
        return len(self._found) + len((self._created | self._under_way) - self._found) > self._most

    async def _look(self) -> None:
        before = set(self._created)
        names, _ = await self._volume.names(after=None, limit=self._most + 1)
        self._found = set(names)
        # What was created meanwhile may have been passed by.
        self._created -= before
        self._counted_at = asyncio.get_running_loop().time()
