"""What the soak and the chaos have in common: a service that is watched from start to rest, and what must hold then."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

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


Step = Callable[[Trial], Awaitable[None]]


async def hold(server: SkepServer, *, prepare: Step, work: Step, clean: Step, seed: int) -> Ledger:
    """Have everything done once by `prepare`, which `clean` must be able to undo; then see what the service holds at
    rest, `prepare` it again, do the `work`, `clean` up, and see that it holds the same.
    """
    ledger = Ledger()
    family = Family(server.pid)
    choices = random.Random(seed)
    async with open_caller(server.url, Ledger()) as caller:
        rehearsal = Trial(server, caller, Killer(family, choices, ledger), choices, caller.ledger)
        await prepare(rehearsal)
        await clean(rehearsal)
    explain(rehearsal.losses, [], rehearsal.ledger)
    if rehearsal.ledger.violations:
        return rehearsal.ledger
    before = await wait_until_quiet(server, family)
    counted = await scrape(server.url)
    async with open_caller(server.url, ledger) as caller, sampled(server.pid) as memory:
        trial = Trial(server, caller, Killer(family, choices, ledger), choices, ledger)
        await prepare(trial)
        await work(trial)
        await trial.killer.settle()
        await clean(trial)
    explain(trial.losses, trial.killer.kills, ledger)
    memory.check(ledger, growth_max_mib=GROWTH_MAX_MIB)
    if ledger.sent != ledger.answered + ledger.left:
        ledger.violate("requests without an answer", ledger.sent - ledger.answered - ledger.left)
    await check_held(server, family, before, ledger)
    compare(counted, await scrape(server.url), ledger)
    return ledger
