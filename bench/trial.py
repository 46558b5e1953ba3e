"""What the soak and the chaos have in common: a service that is watched from start to rest, and what must hold then."""

import random
from dataclasses import dataclass, field
from typing import Final, Protocol

from bench.caller import Caller, open_caller
from bench.counted import compare, scrape
from bench.family import Family
from bench.killer import Killer
from bench.leaks import check_held, sampled, wait_until_quiet
from bench.ledger import Ledger
from bench.lost import Loss, explain
from bench.servers import SkepServer

GROWTH_MAX_MIB: Final = 8.0
"""By so much the service may grow from the end of the first third of a trial to its end; see docs/benchmarks.md."""


@dataclass(slots=True)
class Trial:
    """One service, one caller, one killer, and what came of it."""

    server: SkepServer
    caller: Caller
    killer: Killer
    choices: random.Random
    ledger: Ledger
    losses: list[Loss] = field(default_factory=list)


class Program(Protocol):
    """What is done with the service."""

    async def prepare(self, trial: Trial) -> None:
        """Deploy what is needed, and do everything once. Called twice."""

    async def work(self, trial: Trial) -> None:
        """What the trial is about."""

    async def clean(self, trial: Trial) -> None:
        """Delete everything."""


async def hold(server: SkepServer, program: Program, *, seed: int = 1) -> Ledger:
    """Prepare and clean; see what the service holds at rest; prepare, work, clean, and see that it holds the same.

    Raises: MeasureError if it cannot begin.
    """
    ledger = Ledger()
    family = Family(server.pid)
    choices = random.Random(seed)
    async with open_caller(server.url, Ledger()) as caller:
        rehearsal = Trial(server, caller, Killer(family, choices, ledger), choices, caller.ledger)
        await program.prepare(rehearsal)
        await program.clean(rehearsal)
    explain(rehearsal.losses, [], rehearsal.ledger)
    if rehearsal.ledger.violations:
        return rehearsal.ledger
    before = await wait_until_quiet(server, family)
    counted = await scrape(server.url)
    async with open_caller(server.url, ledger) as caller, sampled(server.pid) as memory:
        trial = Trial(server, caller, Killer(family, choices, ledger), choices, ledger)
        await program.prepare(trial)
        await program.work(trial)
        await trial.killer.settle()
        await program.clean(trial)
    explain(trial.losses, trial.killer.kills, ledger)
    memory.check(ledger, growth_max_mib=GROWTH_MAX_MIB)
    if ledger.sent != ledger.answered + ledger.left:
        ledger.violate("requests without an answer", ledger.sent - ledger.answered - ledger.left)
    await check_held(server, family, before, ledger)
    compare(counted, await scrape(server.url), ledger)
    return ledger
