"""Names to addresses, kept for a moment, without one workspace's slow names making others wait."""

import asyncio
import contextlib
import socket
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Final
from weakref import WeakValueDictionary

from service.domain.addresses import Address

KEPT_S: Final = 5.0
"""The system does not tell how long an answer holds. What is kept is held against the policy at each use."""
KEPT_MAX: Final = 2048
LOOKUPS_AT_ONCE: Final = 8
"""Of one workspace: each holds a thread until the system gives up, which can take half a minute."""

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

    threading.Thread(target=look_up, name="resolve", daemon=True).start()
    return await answer


class Names:
    """Resolves through a small cache."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self._kept: OrderedDict[str, tuple[float, tuple[Address, ...]]] = OrderedDict()
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._lookups: dict[tuple[str, str], asyncio.Task[tuple[Address, ...]]] = {}

    async def addresses(self, host: str, *, workspace: str) -> tuple[Address, ...]:
        """The addresses of a name, best first. Raises: OSError."""
        kept = self._kept.get(host)
        if kept is not None and kept[0] > asyncio.get_running_loop().time():
            return kept[1]
        key = workspace, host
        lookup = self._lookups.get(key)
        if lookup is None:
            lookup = self._lookups[key] = asyncio.create_task(self._look_up(host, workspace))
            lookup.add_done_callback(lambda done: self._ended(key, done))
        # Shielded: a fetch that is called off must not end what others wait for.
        return await asyncio.shield(lookup)

    async def close(self) -> None:
        """Nobody waits any more."""
        lookups = tuple(self._lookups.values())
        for lookup in lookups:
            lookup.cancel()
        await asyncio.gather(*lookups, return_exceptions=True)

    async def _look_up(self, host: str, workspace: str) -> tuple[Address, ...]:
        async with self._turns.setdefault(workspace, asyncio.Semaphore(LOOKUPS_AT_ONCE)):
            found = await self._resolve(host)
        self._kept[host] = asyncio.get_running_loop().time() + KEPT_S, found
        self._kept.move_to_end(host)
        if len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)
        return found

    def _ended(self, key: tuple[str, str], lookup: "asyncio.Task[tuple[Address, ...]]") -> None:
        del self._lookups[key]
        if not lookup.cancelled():
            lookup.exception()  # whoever asked may have gone; that is no error
