"""How many idle connections a workspace may leave behind: a descriptor each, for some seconds."""

import time
from collections import OrderedDict
from typing import Final

DESTINATIONS_MAX: Final = 32
"""Of one workspace. Beyond that a connection is closed after its request."""
WORKSPACES_MAX: Final = 4096

Destination = tuple[str, str, int]


class Kept:
    """Remembers where each workspace may have connections that wait for a next request."""

    def __init__(self, *, idle_s: float) -> None:
        self._idle_s = idle_s
        self._used: OrderedDict[str, dict[Destination, float]] = OrderedDict()

    def may_keep(self, workspace: str, destination: Destination) -> bool:
        """Whether the connection of a request that is about to be sent may be kept."""
        used = self._used.get(workspace)
        if used is None:
            used = self._used[workspace] = {}
            if len(self._used) > WORKSPACES_MAX:
                self._used.popitem(last=False)
        now = time.monotonic()
        if destination not in used and len(used) >= DESTINATIONS_MAX:
            for idle in [known for known, at in used.items() if now - at > self._idle_s]:
                del used[idle]
            if len(used) >= DESTINATIONS_MAX:
                return False
        used[destination] = now
        return True
