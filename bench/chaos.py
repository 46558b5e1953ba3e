"""`python -m bench.chaos`: requests at a fixed rate while workers and zygotes are killed and deploys run all the while.

Every request must be answered; only runs that were in a worker that was killed may fail, each with a 502 that names
the signal; no deploy may be lost or half done; the service must come to rest as it was. Exit status 1 if anything was
otherwise.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import count
from typing import Final

import uvloop

from bench.caller import drive, note_lateness
from bench.lost import Loss, is_kill
from bench.servers import open_skep
from bench.tenant import Tenant
from bench.trial import Trial, hold

MAX_MINUTES: Final = 24 * 60
_WAITING: Final = 0.5
"""So many of the runs wait, the others return at once."""
_WAITS_S: Final = (0.02, 0.5)
_REFUSED: Final = 0.2
"""So many of the deploys are such as must be refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How much of it."""

    seconds: float
    rate: float
    workspaces: int
    kills: float
    newborns: float
    zygotes: int
    deploys: float


class Chaos:
    """The workspaces, their runs and their deploys."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._numbers = count(1)
        self.tenants: list[Tenant] = []

    async def prepare(self, trial: Trial) -> None:
        """Deploy every workspace and run it once."""
        self.tenants = [Tenant(f"chaos-{number}") for number in range(self._options.workspaces)]
        await asyncio.gather(*[self._deploy(trial, tenant) for tenant in self.tenants])
        await asyncio.gather(*[self._run(trial, tenant, wait_s=0) for tenant in self.tenants])

    async def work(self, trial: Trial) -> None:
        """All at once."""
        options = self._options

        async def one() -> None:
            wait_s = trial.choices.uniform(*_WAITS_S) if trial.choices.random() < _WAITING else 0.0
            await self._run(trial, trial.choices.choice(self.tenants), wait_s=wait_s)

        killing = trial.killer.running(
            rate=options.kills, newborns=options.newborns, seconds=options.seconds, zygotes=options.zygotes
        )
        async with killing, self._deploying(trial):
            note_lateness(trial.ledger, await drive(one, rate=options.rate, seconds=options.seconds))
        await asyncio.gather(*[tenant.check(trial.caller) for tenant in self.tenants])

    async def clean(self, trial: Trial) -> None:
        """Delete everything."""
        await asyncio.gather(*[tenant.delete(trial.caller) for tenant in self.tenants])

    @asynccontextmanager
    async def _deploying(self, trial: Trial) -> AsyncIterator[None]:
        async def start() -> None:
            idle = [tenant for tenant in self.tenants if not tenant.is_busy]
            if idle:
                tenant = trial.choices.choice(idle)
                tenant.is_busy = True
                await self._deploy(trial, tenant)
                tenant.is_busy = False

        task = asyncio.create_task(drive(start, rate=self._options.deploys, seconds=self._options.seconds))
        try:
            yield
            await task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _deploy(self, trial: Trial, tenant: Tenant) -> None:
        if tenant.live and trial.choices.random() < _REFUSED:
            reply = await tenant.refuse(trial.caller)
            name = "deploy to be refused"
        else:
            reply = await tenant.deploy(trial.caller)
            name = "deploy"
            # A service may say that it could not; it may not blame the code, which is fine.
            is_excused = reply is not None and reply.status == 503 and trial.killer.has_killed_during(reply)
            if reply is not None and reply.status != 200 and not is_excused:
                trial.ledger.violate("not deployed", f"{tenant.name}: {reply}")
        if reply is not None:
            trial.ledger.seen[f"{name}: {reply.status} {reply.error}".rstrip()] += 1

    async def _run(self, trial: Trial, tenant: Tenant, *, wait_s: float) -> None:
        reply = await tenant.run(trial.caller, n=next(self._numbers), wait_s=wait_s)
        if reply is None:
            return
        trial.ledger.seen[f"run: {reply.status} {reply.error}"] += 1
        if is_kill(reply):
            trial.losses.append(Loss(tenant.name, "".join(reply.messages[:1]), reply))
        else:
            trial.ledger.violate("a run failed, and not for a kill", f"{tenant.name}: {reply}")


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5, help="default 5")
    parser.add_argument("--rate", type=float, default=200, help="requests a second; default 200")
    parser.add_argument("--workspaces", type=int, default=50, help="default 50")
    parser.add_argument("--kills", type=float, default=2, help="workers a second; default 2")
    parser.add_argument("--newborns", type=float, default=0.25, help="of the kills, by their share; default 0.25")
    parser.add_argument("--zygotes", type=int, default=2, help="killed in all; default 2")
    parser.add_argument("--deploys", type=float, default=2, help="a second; default 2")
    parser.add_argument("--seed", type=int, default=1, help="of all that is random")
    given = parser.parse_args()
    if not 0 < given.minutes <= MAX_MINUTES:
        parser.error(f"--minutes is a number up to {MAX_MINUTES}")
    options = Options(
        seconds=given.minutes * 60,
        rate=given.rate,
        workspaces=given.workspaces,
        kills=given.kills,
        newborns=given.newborns,
        zygotes=given.zygotes,
        deploys=given.deploys,
    )
    with open_skep() as server:
        ledger = uvloop.run(hold(server, Chaos(options), seed=given.seed))
    ledger.report()
    return 1 if ledger.violations else 0


if __name__ == "__main__":
    raise SystemExit(main())
