"""Kills workers of one service at random, and its zygote when it is told to."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from bench.family import Family, Kill
from bench.ledger import Ledger, Reply
from bench.processes import Process

_GONE_TIMEOUT_S: Final = 5.0
_POLL_S: Final = 0.01
_NEWBORN_TIMEOUT_S: Final = 0.5
_TOLD_WITHIN_S: Final = 1.0
_LOOK_S: Final = 0.001
_NEWBORN_FOR_S: Final = 0.008
"""About as long as one takes to be ready, to which the kills of newborns are spread."""


class Killer:
    """What it has killed is in `kills`, in order."""

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
        self._kill(self._choices.choice(workers))

    async def kill_newborn(self) -> None:
        """The next that is born, while it compiles, loads or runs for the first time; any if none is."""
        known = self._family.forked()
        give_up_at = asyncio.get_running_loop().time() + _NEWBORN_TIMEOUT_S
        while asyncio.get_running_loop().time() < give_up_at:
            worker = self._family.newborn(known)
            if worker is not None:
                await asyncio.sleep(self._choices.uniform(0, _NEWBORN_FOR_S))
                self._kill(worker)
                return
            await asyncio.sleep(_LOOK_S)
        self.kill_worker()

    def _kill(self, worker: Process) -> None:
        kill = self._family.kill(worker)
        if kill is not None:
            self.kills.append(kill)

    def has_killed_during(self, reply: Reply) -> bool:
        """Whether anything was killed while this was asked and answered."""
        return any(reply.sent <= kill.at <= reply.answered for kill in self.kills)

    async def kill_zygote(self) -> None:
        """The one that there is, or the next; its workers live on."""
        async with asyncio.timeout(_GONE_TIMEOUT_S):
            while True:
                zygote = self._family.zygote()
                if zygote is not None and self._family.kill(zygote) is not None:
                    break
                await asyncio.sleep(_POLL_S)
        self.zygotes += 1
        for kill in self.kills:
            # What it was about to say of its workers is not said any more.
            kill.is_orphan |= kill.at >= asyncio.get_running_loop().time() - _TOLD_WITHIN_S

    async def settle(self) -> None:
        """Wait until all that was killed is gone; what is not by then is told when losses are explained."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_GONE_TIMEOUT_S):
                while any(kill.gone is None for kill in self.kills):  # noqa: ASYNC110  # seen by the loop's reader
                    await asyncio.sleep(_POLL_S)

    @asynccontextmanager
    async def running(
        self, *, rate: float, newborns: float = 0.0, seconds: float, zygotes: int = 0
    ) -> AsyncIterator[None]:
        """Kill so many workers a second as long as this is open, a share of them newborns, and so many zygotes spread
        over `seconds`.
        """

        async def kill_workers() -> None:
            while rate:
                await asyncio.sleep(self._choices.expovariate(rate))
                if self._choices.random() < newborns:
                    await self.kill_newborn()
                else:
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
