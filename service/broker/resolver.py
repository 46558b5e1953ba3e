"""Names to addresses, kept for a moment, without one workspace's slow names making others wait."""

import asyncio
import contextlib
import errno
import functools
import socket
import threading
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Final

from service.domain.addresses import Address

KEPT_S: Final = 5.0
"""The system does not tell how long an answer holds. What is kept is held against the policy at each use."""
KEPT_MAX: Final = 2048
LOOKUPS_AT_ONCE: Final = 8
"""Of one workspace: each holds a thread until the system gives up, which can take half a minute."""
LOOKUPS_MAX: Final = 64
"""Of all workspaces."""
RESERVE: Final = 4
"""So many times what a workspace has under way must be left for one more."""
QUEUED_MAX: Final = 128
"""Of one workspace: names that wait for their turn."""

Resolve = Callable[[str], Awaitable[tuple[Address, ...]]]
"""A name to its addresses, best first. Raises: OSError."""


async def system_resolve(host: str) -> tuple[Address, ...]:
    """As the machine resolves names. In a thread that nobody waits for at the end: a lookup cannot be called off."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[tuple[Address, ...]] = loop.create_future()

    def settle(found: tuple[Address, ...] | OSError) -> None:
        if answer.done():
            return
        if isinstance(found, OSError):
            answer.set_exception(found)
        else:
            answer.set_result(found)

    def look_up() -> None:
        found: tuple[Address, ...] | OSError
        try:
            infos = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
            # A zone would stand behind a percent sign; what it leads to is link-local, and refused as that.
            found = tuple(dict.fromkeys(ip_address(str(info[4][0]).partition("%")[0]) for info in infos))
        except OSError as error:
            found = error
        except ValueError as error:  # a name that the system's own encoding does not take
            found = OSError(str(error))
        with contextlib.suppress(RuntimeError):  # the loop is gone, and so is whoever asked
            loop.call_soon_threadsafe(settle, found)

    try:
        threading.Thread(target=look_up, name="resolve", daemon=True).start()
    except RuntimeError as error:
        raise OSError(errno.EAGAIN, "there may be no more threads here") from error
    return await answer


class _Lookup:
    """One name that somebody of a workspace waits for."""

    __slots__ = ("answer", "host", "waiters", "workspace")

    def __init__(self, host: str, workspace: str) -> None:
        self.host = host
        self.workspace = workspace
        self.waiters = 0
        self.answer: asyncio.Future[tuple[Address, ...]] = asyncio.get_running_loop().create_future()


class Names:
    """Resolves through a small cache.

    The fewer places are left, the fewer lookups a workspace may have under way: those that ask for slow names leave
    some for whoever comes next.
    """

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self._kept: OrderedDict[str, tuple[float, tuple[Address, ...]]] = OrderedDict()
        self._lookups: dict[tuple[str, str], _Lookup] = {}
        self._queued: dict[str, dict[str, _Lookup]] = {}
        self._running: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[tuple[Address, ...]]] = set()

    async def addresses(self, host: str, *, workspace: str) -> tuple[Address, ...]:
        """The addresses of a name, best first. Raises: OSError."""
        kept = self._kept.get(host)
        if kept is not None and kept[0] > asyncio.get_running_loop().time():
            return kept[1]
        lookup = self._lookups.get((workspace, host)) or self._ask(host, workspace)
        lookup.waiters += 1
        try:
            # Shielded: a fetch that is called off must not end what others wait for.
            return await asyncio.shield(lookup.answer)
        finally:
            lookup.waiters -= 1
            if not lookup.waiters:
                self._abandon(lookup)

    async def close(self) -> None:
        """Nobody waits any more."""
        self._queued.clear()
        for lookup in self._lookups.values():
            lookup.answer.cancel()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ask(self, host: str, workspace: str) -> _Lookup:
        queue = self._queued.setdefault(workspace, {})
        if len(queue) >= QUEUED_MAX:
            raise OSError(f"{QUEUED_MAX} other names of this workspace wait for their turn: fetch from fewer at once")
        lookup = queue[host] = self._lookups[workspace, host] = _Lookup(host, workspace)
        self._begin(workspace)
        return lookup

    def _abandon(self, lookup: _Lookup) -> None:
        """Nobody waits for this one: it ends if it has not begun. What has begun holds its thread in any case."""
        queue = self._queued.get(lookup.workspace, {})
        if queue.pop(lookup.host, None) is not None:
            del self._lookups[lookup.workspace, lookup.host]
            if not queue:
                del self._queued[lookup.workspace]

    def _begin(self, workspace: str) -> None:
        queue = self._queued[workspace]
        while queue and self._running[workspace] < min(LOOKUPS_AT_ONCE, (LOOKUPS_MAX - len(self._tasks)) / RESERVE):
            lookup = queue.pop(next(iter(queue)))
            self._running[workspace] += 1
            task = asyncio.create_task(self._look_up(lookup.host))
            self._tasks.add(task)
            task.add_done_callback(functools.partial(self._ended, lookup))
        if not queue:
            del self._queued[workspace]

    async def _look_up(self, host: str) -> tuple[Address, ...]:
        found = await self._resolve(host)
        self._kept[host] = asyncio.get_running_loop().time() + KEPT_S, found
        self._kept.move_to_end(host)
        if len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)
        return found

    def _ended(self, lookup: _Lookup, task: "asyncio.Task[tuple[Address, ...]]") -> None:
        self._tasks.discard(task)
        del self._lookups[lookup.workspace, lookup.host]
        self._running[lookup.workspace] -= 1
        if not self._running[lookup.workspace]:
            del self._running[lookup.workspace]
        error = None if task.cancelled() else task.exception()
        if task.cancelled() or lookup.answer.cancelled():
            lookup.answer.cancel()
        elif error is not None:
            lookup.answer.set_exception(error)
            lookup.answer.exception()  # whoever asked may have gone; that is no error
        else:
            lookup.answer.set_result(task.result())
        for workspace in tuple(self._queued):
            self._begin(workspace)
