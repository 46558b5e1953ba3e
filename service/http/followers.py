"""How many follow the logs of runs."""

from weakref import WeakSet

from service.errors import TooMany


class Followers:
    """Those that do. One that was never served, since its caller had gone, is forgotten when nobody holds it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._streams: WeakSet[object] = WeakSet()

    def come(self, stream: object) -> None:
        """One more. Raises: TooMany."""
        if len(self._streams) >= self._most:
            raise TooMany(f"There are {self._most} readers who follow the logs of runs; no more may.")
        self._streams.add(stream)

    def go(self, stream: object) -> None:
        """One less."""
        self._streams.discard(stream)
