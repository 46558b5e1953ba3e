"""The service's side of the zygote: ask for workers, and see to it that there is always somebody to ask.

A zygote that dies is replaced at once, in the background; one that keeps dying, later and later. Forks that were under
way are asked again. Workers forked by the old one live on where they have a pid namespace: each holds a connection of
its own.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from math import ceil
from typing import Final, get_args

import structlog

from sandbox import protocol
from service.errors import JailTooWeak, SkepError, WorkersUnavailable
from service.workers.cgroups import ControlGroup
from service.workers.child import Child
from service.workers.fork_server import ForkServer, ZygoteGone, start_fork_server

FORK_TRIES: Final = 3
FORKS_AT_ONCE: Final = 4
"""More would only wait in the socket's buffer: the zygote forks one after the other."""
PAUSE_S: Final = 0.1
PAUSE_MAX_S: Final = 10.0
"""Between the end of a zygote that was itself a replacement and the next: the first pause, and the longest; each is
twice the one before."""
STEADY_S: Final = 10.0
"""One that lived for so long is replaced at once, as the first is."""
PATIENCE_S: Final = 0.5
"""Whoever asks for a worker waits for the next zygote, but not through a pause longer than this."""

LEVELS: Final = get_args(protocol.JailLevel)
"""Weakest first."""

_log = structlog.get_logger()


def is_enough(level: protocol.JailLevel, least: protocol.JailLevel) -> bool:
    """Whether a level of the jail is what an operator accepts, or more."""
    return LEVELS.index(level) >= LEVELS.index(least)


def next_pause_s(pause_s: float | None, *, lived_s: float) -> float:
    """How long to wait before the next zygote; `pause_s`: how long before the last one, None if it was the first."""
    if pause_s is None or lived_s >= STEADY_S:
        return 0.0
    return min(max(2 * pause_s, PAUSE_S), PAUSE_MAX_S)


class Zygote:
    """Forks workers; survives the death of the process that does it."""

    def __init__(
        self, group: ControlGroup, *, modules: Sequence[str], least: protocol.JailLevel,
        on_start: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self.level: protocol.JailLevel = "none"
        """Of the jail that workers are in now; never below `least` once there is one."""
        self.layers: tuple[protocol.Layer, ...] = ()
        self._group = group
        self._modules = tuple(modules)
        self._least = least
        self._on_start = on_start
        self._server: ForkServer | None = None
        self._is_known = asyncio.Event()
        """Set while it is known whether there is one to ask: not while one is about to be."""
        self._next_at = 0.0
        """Loop time at which a pause ends."""
        self._room = asyncio.Semaphore(FORKS_AT_ONCE)
        self._number = 0
        self._stopping = False

    @property
    def pid(self) -> int | None:
        """Of the process that forks now."""
        return self._server.pid if self._server else None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Have a zygote; on exit it and every worker it forked are gone. Raises: JailTooWeak, WorkersUnavailable."""
        watch = asyncio.create_task(self._watch(await self._start()))
        try:
            yield
        finally:
            self._stopping = True
            self._is_known.set()
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch
            if self._server is not None:
                await asyncio.shield(self._server.stop())

    async def fork(self, *, memory_max_bytes: int) -> Child:
        """A new worker, locked down and waiting for its workspace. Raises: WorkersUnavailable."""
        async with self._room:
            for _ in range(FORK_TRIES):
                server = await self._find()
                self._number += 1
                try:
                    return await server.fork(self._number, memory_max_bytes=memory_max_bytes)
                except ZygoteGone:
                    continue
        raise WorkersUnavailable("The process that starts workers ends as soon as it is started.")

    async def _find(self) -> ForkServer:
        """Who forks now; one that is about to be is waited for. Raises: WorkersUnavailable."""
        await self._is_known.wait()
        if self._server is not None:
            return self._server
        if self._stopping:
            raise WorkersUnavailable("The service is going down.")
        pause_s = max(1, ceil(self._next_at - asyncio.get_running_loop().time()))
        raise WorkersUnavailable(
            "No worker can be started: the process that forks them does not stay up. "
            f"It is tried again in {pause_s} s.",
            retry_after_s=pause_s,
        )

    async def _watch(self, server: ForkServer) -> None:
        """Have another one whenever one is lost. The only one who starts any, so that there are never two."""
        loop = asyncio.get_running_loop()
        pause_s: float | None = None
        while True:
            since = loop.time()
            await server.lost.wait()
            lived_s = loop.time() - since
            _log.warning("zygote lost", pid=server.pid, lived_s=round(lived_s, 1))
            try:
                await server.stop()
            except asyncio.CancelledError:
                await asyncio.shield(server.stop())
                raise
            pause_s = next_pause_s(pause_s, lived_s=lived_s)
            while True:
                await self._pause(pause_s)
                try:
                    server = await self._start()
                    break
                except SkepError as error:
                    _log.warning("zygote not started", reason=str(error))
                except Exception:  # noqa: BLE001  # a side task: it must not end, and nobody else would hear of it
                    _log.exception("zygote not started")
                pause_s = next_pause_s(pause_s, lived_s=0)

    async def _pause(self, pause_s: float) -> None:
        if pause_s > PATIENCE_S:
            self._next_at = asyncio.get_running_loop().time() + pause_s
            self._is_known.set()
        await asyncio.sleep(pause_s)
        if not self._stopping:
            self._is_known.clear()

    async def _start(self) -> ForkServer:
        server, ready = await start_fork_server(self._group, self._modules, on_lost=self._lose)
        missing = tuple(layer for layer in ready.layers if not layer.is_on)
        if not is_enough(ready.level, self._least):
            server.kill()
            await asyncio.shield(server.stop())
            raise JailTooWeak(ready.level, self._least, [(layer.name, layer.detail, layer.grant) for layer in missing])
        if server.lost.is_set():  # no `await` from here on: who is not lost now will be missed when it is
            await asyncio.shield(server.stop())
            raise WorkersUnavailable("The process that starts workers ends as soon as it is started.")
        self.level, self.layers = ready.level, tuple(ready.layers)
        self._server = server
        self._is_known.set()
        self._on_start()
        _log.info("zygote started", pid=server.pid, jail=ready.level)
        for layer in missing:
            _log.warning("jail layer missing", layer=layer.name, reason=layer.detail, needs=layer.grant)
        return server

    def _lose(self) -> None:
        """Whoever asks from now on waits for the next one."""
        self._server = None
        if not self._stopping:
            self._is_known.clear()
