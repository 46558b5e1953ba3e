"""`cache` in a worker that has its workspace to itself: a dict, and what a shared one has beside."""

from typing import Any, Final

from sandbox.protocol import increased


class CacheFull(RuntimeError):
    """A shared cache has no room for this; nothing of it was changed. Functions know it as `cache.Full`."""


class Cache(dict[Any, Any]):
    """A dict that can count."""

    __slots__ = ()

    Full: Final = CacheFull
    """Never raised here; code that is ready for a shared cache names it."""

    def increment(self, key: Any, by: float = 1) -> int | float:
        """Add to a number, 0 if there is none. Returns: the new one. Raises: TypeError, OverflowError."""
        total = increased(dict.get(self, key, 0), by)
        dict.__setitem__(self, key, total)
        return total
