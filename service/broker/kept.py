"""How many connections may be left behind for a next request: a descriptor each, for some seconds."""

import time
from collections import OrderedDict
from typing import Final

KEPT_MAX: Final = 32
"""Of one workspace. Beyond that a connection is closed after its request."""
KEPT_BY_ALL_MAX: Final = 1000

Place = tuple[str, str, str, int]
"""A workspace, and the host, address and port that it has connections to."""


class _Connections:
    __slots__ = ("busy", "ended", "held")

    def __init__(self) -> None:
        self.busy = 0
        self.held = 0
        """As many as were ever busy at the same time: a request takes a connection that waits, if there is one."""
        self.ended = 0.0


class Kept:
    """Counts the connections that may wait for a next request, and those that will."""

    def __init__(self, *, idle_s: float) -> None:
        self._idle_s = idle_s
        self._places: OrderedDict[Place, _Connections] = OrderedDict()
        """Least recently used first."""
        self._held = 0
        self._held_by: dict[str, int] = {}

    def begin(self, place: Place) -> bool:
        """Whether the connection of a request that is about to be sent may be kept; if so, `end` must follow."""
        self._forget_idle()
        at = self._places.get(place)
        if at is None or at.busy >= at.held:
            held = self._held_by.get(place[0], 0)
            if held >= KEPT_MAX or self._held >= KEPT_BY_ALL_MAX:
                return False
            if at is None:
                at = self._places[place] = _Connections()
            at.held += 1
            self._count(place[0], 1)
        at.busy += 1
        self._places.move_to_end(place)
        return True

    def end(self, place: Place) -> None:
        """The request is over; its connection waits now."""
        at = self._places[place]
        at.busy -= 1
        at.ended = time.monotonic()
        self._places.move_to_end(place)

    def _forget_idle(self) -> None:
        """Those that the connector has closed by now."""
        before = time.monotonic() - self._idle_s
        while self._places:
            place, at = next(iter(self._places.items()))
            if at.busy:
                self._places.move_to_end(place)
                return
            if at.ended > before:
                return
            del self._places[place]
            self._count(place[0], -at.held)

    def _count(self, workspace: str, more: int) -> None:
        self._held += more
        self._held_by[workspace] = self._held_by.get(workspace, 0) + more
        if not self._held_by[workspace]:
            del self._held_by[workspace]
