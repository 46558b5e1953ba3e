"""Kills workers of one service at random, and its zygote when it is told to."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from bench.family import Family, Kill
from bench.ledger import Ledger

_GONE_TIMEOUT_S: Final = 5.0
_POLL_S: Final = 0.01
_YOUNGEST: Final = 0.25
"""So often it is the one that was born last: it may be loading, or compiling a deploy."""


class Killer:
    """What it has killed is in `kills`."""

    def __init__(self, family: Family, choices: random.Random, ledger: Ledger) -> None:
        self.kills: list[Kill] = []
        self.zygotes = 0
        self._family = family
        self._choices = choices
        self._ledger = ledger

    def kill_worker(self) -> None:
        """Any, if there is one."""
        workers = self._family.workers()
        if not workers:
            return
        youngest = max(workers, key=lambda worker: (worker.started_ticks, worker.pid))
        worker = youngest if self._choices.random() < _YOUNGEST else self._choices.choice(workers)
        kill = self._family.kill(worker)
        if kill is not None:
            self.kills.append(kill)

    async def kill_zygote(self) -> None:
        """The one that there is, or the next; its workers live on."""
        async with asyncio.timeout(_GONE_TIMEOUT_S):
            while True:
                zygote = self._family.zygote()
                if zygote is not None and self._family.kill(zygote) is not None:
                    break
                await asyncio.sleep(_POLL_S)
        self.zygotes += 1

    async def settle(self) -> None:
        """Wait until all that was killed is gone; what is not by then is told when losses are explained."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_GONE_TIMEOUT_S):
                while any(kill.gone is None for kill in self.kills):  # noqa: ASYNC110  # seen by the loop's reader
                    await asyncio.sleep(_POLL_S)

    @asynccontextmanager
    async def running(self, *, rate: float, seconds: float, zygotes: int = 0) -> AsyncIterator[None]:
        """Kill so many workers a second as long as this is open, and so many zygotes spread over `seconds`."""

        async def kill_workers() -> None:
            while rate:
                await asyncio.sleep(self._choices.expovariate(rate))
                self.kill_worker()

        async def kill_zygotes() -> None:
            for _ in range(zygotes):
                await asyncio.sleep(seconds / (zygotes + 1))
                await self.kill_zygote()

        tasks = [asyncio.create_task(kill_workers()), asyncio.create_task(kill_zygotes())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with suppress(asyncio.CancelledError):
                    await task
            await self.settle()
            if self.zygotes < zygotes:
                self._ledger.violate("zygotes that were not killed", zygotes - self.zygotes)
