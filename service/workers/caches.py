"""The caches of workspaces that have several workers: kept here, so that all see the same and none takes it along.

Keys and values are bytes that a worker wrote and only workers read. Each operation is atomic: nothing here waits.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, Final, assert_never

import msgspec

from sandbox import protocol
from service.domain.fairness import fair_share
from service.domain.names import workspace_of

ENTRY_OVERHEAD_BYTES: Final = 256
"""What an entry takes beside its bytes: four objects with their headers, a place in a table that is half empty."""

SHARE_OF_TIME: Final = 0.5
BURST_S: Final = 0.05
"""So much of the service's time goes to operations, after a burst of each workspace; workers wait for more. Workspaces
that do share it.
"""

_INT: Final = re.compile(rb"-?[0-9]{1,%d}" % protocol.CACHE_DIGITS_MAX)
_FLOAT: Final = re.compile(rb"-?[0-9]{1,400}(\.[0-9]{1,400})?([eE][+-]?[0-9]{1,3})?")

Entry = tuple[bytes, bytes]
"""The key as it is shown, the value."""
Result = tuple[protocol.CacheStatus, list[bytes]]
_DONE: Final[Result] = ("done", [])
_MISSING: Final[Result] = ("missing", [])


class Share:
    """What one workspace has of the room and the time for caches: each of its revisions that runs has a cache."""

    __slots__ = ("allowance_s", "allowed_at", "caches")

    def __init__(self) -> None:
        self.caches: list[SharedCache] = []
        self.allowance_s = BURST_S
        self.allowed_at = 0.0

    @property
    def size_bytes(self) -> int:
        """What all of them take."""
        return sum(cache.size_bytes for cache in self.caches)


class SharedCache:
    """The cache of one workspace, or of one revision of it. `size_bytes` counts what its entries take in this process.

    `key`: the pool's.
    """

    def __init__(self, key: str, share: Share, caches: "Caches") -> None:
        self.key = key
        self.share = share
        self.max_bytes = caches.cache_max_bytes
        self.size_bytes = 0
        self.holders = 0
        """Workers that use it."""
        self._caches = caches
        self._entries: dict[bytes, Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def snapshot(self) -> Iterator[Entry]:
        """Keys as they are shown, and values, as they are now."""
        return iter(list(self._entries.values()))

    def apply(self, op: protocol.CacheOp) -> Result:  # noqa: C901, PLR0911, PLR0912  # a table of operations
        """Do one operation, whole or not at all."""
        self._caches.on_operation()
        entry = self._entries.get(op.key)
        match op.verb:
            case "get":
                return _MISSING if entry is None else ("done", [entry[1]])
            case "set":
                return self._put([(op.key, op.shown, op.value)]) or _DONE
            case "has":
                return _MISSING if entry is None else _DONE
            case "setdefault":
                if entry is not None:
                    return "done", [entry[1]]
                return self._put([(op.key, op.shown, op.value)]) or ("done", [op.value])
            case "increment":
                return self._increment(op, entry)
            case "delete" | "pop":
                if entry is None:
                    return _MISSING
                self._remove(op.key)
                return _DONE if op.verb == "delete" else ("done", [entry[1]])
            case "popitem":
                if not self._entries:
                    return _MISSING
                key = next(reversed(self._entries))
                entry = self._entries[key]
                self._remove(key)
                return "done", [*entry]
            case "update":
                return self._put(op.pairs) or _DONE
            case "clear":
                self.clear()
                return _DONE
            case "len":
                return "done", [b"%d" % len(self._entries)]
            case "keys" | "items":
                raise ValueError("what is answered in pages")
            case _ as unreachable:
                assert_never(unreachable)

    def charge(self, spent_s: float, now: float) -> float:
        """So much of the service's time was spent on it. Returns: how long whoever did it has to wait, in seconds."""
        own = self.share
        share = SHARE_OF_TIME / self._caches.spenders(own, now)
        allowed_s = own.allowance_s + (now - own.allowed_at) * share
        own.allowance_s = min(BURST_S, allowed_s) - spent_s
        own.allowed_at = now
        wait_s = -own.allowance_s / share
        if wait_s > 0:
            self._caches.spends(own, now + wait_s)
        return wait_s

    def clear(self) -> None:
        """Remove everything."""
        self._grow(-self.size_bytes)
        self._entries = {}

    def _remove(self, key: bytes) -> None:
        self._grow(-_size_bytes(key, self._entries.pop(key)))
        if not self._entries:
            self._entries = {}  # a table does not shrink by itself, and keeps the places of what was taken from its end

    def _put(self, pairs: list[tuple[bytes, bytes, bytes]]) -> Result | None:
        """Set all of these, or none and say why."""
        entries = self._entries
        changed: dict[bytes, Entry] = {}
        growth_bytes = 0
        for key, shown, value in pairs:
            old = changed.get(key)
            if old is None:
                old = entries.get(key)
            # As in a dict, the key that was there first stays.
            new = (shown or key, value) if old is None else (old[0], value)
            growth_bytes += _size_bytes(key, new) - (0 if old is None else _size_bytes(key, old))
            changed[key] = new
        if growth_bytes > 0:
            refusal = self._caches.refusal(self, growth_bytes)
            if refusal:
                return "full", [refusal.encode()]
        entries.update(changed)
        self._grow(growth_bytes)
        return None

    def _increment(self, op: protocol.CacheOp, entry: Entry | None) -> Result:
        try:
            total = protocol.increased(0 if entry is None else _number(entry[1]), _number(op.value))
        except TypeError:
            return "no-number", [b"increment() is for numbers, and there is something else under this key"]
        except OverflowError as error:
            return "too-large", [str(error).encode()]
        value = msgspec.json.encode(total) if type(total) is float else b"%d" % total
        return self._put([(op.key, op.shown, value)]) or ("done", [value])

    def _grow(self, by_bytes: int) -> None:
        self.size_bytes += by_bytes
        self._caches.size_bytes += by_bytes


class Caches:
    """All shared caches. One is made for its first worker and stays when its workers go, until it is dropped, or until
    room is wanted while it has no worker.
    """

    def __init__(
        self, *, cache_max_bytes: int, caches_max_bytes: int, on_operation: Callable[[], None] | None = None
    ) -> None:
        self.cache_max_bytes = cache_max_bytes
        self.caches_max_bytes = caches_max_bytes
        self.size_bytes = 0
        self.on_operation = on_operation or _nothing
        """Called for each, before it is done."""
        self._caches: dict[str, SharedCache] = {}
        self._shares: dict[str, Share] = {}
        """Of workspaces with caches."""
        self._unused: OrderedDict[str, SharedCache] = OrderedDict()
        """Those without a worker, the one that lost its last worker first in front."""
        self._unused_bytes = 0
        self._spending: dict[Share, float] = {}
        """Those on which more time was spent than they may have, and until when they make up for it."""

    def hold(self, key: str) -> SharedCache:
        """The cache of a workspace or revision, for one worker more."""
        cache = self._caches.get(key)
        if cache is None:
            share = self._shares.setdefault(workspace_of(key), Share())
            cache = self._caches[key] = SharedCache(key, share, self)
            share.caches.append(cache)
        self._use(key)
        cache.holders += 1
        return cache

    def release(self, cache: SharedCache) -> None:
        """A worker that held it is gone."""
        cache.holders -= 1
        if cache.holders:
            return
        if self._caches.get(cache.key) is not cache:
            cache.clear()
        elif not len(cache):
            self.drop(cache.key)
        else:
            self._unused[cache.key] = cache
            self._unused_bytes += cache.size_bytes

    def drop(self, key: str) -> None:
        """The workspace is gone, or has a single worker from now on. Workers that still run keep what there was."""
        self._use(key)
        cache = self._caches.pop(key, None)
        if cache is None:
            return
        cache.share.caches.remove(cache)
        if not cache.share.caches:
            del self._shares[workspace_of(key)]
        if not cache.holders:
            cache.clear()

    def spends(self, share: Share, until: float) -> None:
        """This one makes up for what was spent on it until then."""
        self._spending[share] = until

    def spenders(self, share: Share, now: float) -> int:
        """How many share the time that there is for operations, this one included."""
        if self._spending:
            self._spending = {other: until for other, until in self._spending.items() if until > now}
            return len(self._spending) + (share not in self._spending)
        return 1

    def refusal(self, cache: SharedCache, growth_bytes: int) -> str:
        """Why a cache may not grow by so much; empty if it may."""
        # One that was dropped and is still held counts for itself.
        has_bytes = cache.share.size_bytes if cache in cache.share.caches else cache.size_bytes
        wanted_bytes = has_bytes + growth_bytes
        if wanted_bytes > cache.max_bytes:
            for other in cache.share.caches[:]:
                if not other.holders and wanted_bytes > cache.max_bytes:
                    wanted_bytes -= other.size_bytes
                    self.drop(other.key)
            has_bytes = wanted_bytes - growth_bytes
        has = f"the cache has {has_bytes} bytes"
        if wanted_bytes > cache.max_bytes:
            return f"{has} and may have {cache.max_bytes}; this needs {growth_bytes} more"
        free_bytes = self.caches_max_bytes - self.size_bytes - growth_bytes
        if not fair_share(wanted_bytes, free_bytes + self._unused_bytes):
            return f"{has} and, as full as the caches of all workspaces are, may not have {growth_bytes} more"
        while not fair_share(wanted_bytes, self.caches_max_bytes - self.size_bytes - growth_bytes):
            self.drop(next(iter(self._unused)))
        return ""

    def _use(self, key: str) -> None:
        unused = self._unused.pop(key, None)
        if unused is not None:
            self._unused_bytes -= unused.size_bytes


def _nothing() -> None:
    """Nobody counts."""


def _size_bytes(key: bytes, entry: Entry) -> int:
    shown, value = entry
    return ENTRY_OVERHEAD_BYTES + len(key) + len(value) + (0 if shown is key else len(shown))


def _number(value: bytes) -> Any:
    """The number that this is the JSON of; None for anything else."""
    if _INT.fullmatch(value):
        return int(value)
    return float(value) if _FLOAT.fullmatch(value) else None
