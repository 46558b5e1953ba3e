"""`python -m bench.soak`: a mix of everything for some minutes, or only ordinary runs, so many of them.

`--minutes`: deploys, runs of all kinds, callers that leave, workers that are killed and evicted; each answer is one
that may be, nothing leaks, and the service counts what its callers count. `--runs`: ordinary functions, each answered
with exactly what the same code gives outside. Exit status 1 if anything was otherwise. It ends by itself.
"""

import argparse
import asyncio
from typing import Final

import uvloop

from bench.caller import drive, note_lateness
from bench.mix import Mix
from bench.ordinary import Outside, read_functions, soak
from bench.servers import SkepServer, open_skep
from bench.trial import Trial, hold

MAX_RUNS: Final = 10_000_000
MAX_MINUTES: Final = 24 * 60
SETTINGS: Final = {
    "FUNCTIONS_WORKERS_MAX_LRU": "8",  # fewer than there are workspaces: workers are evicted all the time
    "INACTIVE_WORKER_DELETION_TIMEOUT": "5",
}
KILLS_A_SECOND: Final = 0.5


class Everything:
    """The mix, for so many seconds."""

    def __init__(self, *, seconds: float, rate: float, kills: float) -> None:
        self._seconds = seconds
        self._rate = rate
        self._kills = kills
        self._outside = Outside(read_functions())
        self._mix: Mix

    async def prepare(self, trial: Trial) -> None:
        """Deploy, and try one of each kind."""
        self._mix = mix = Mix(trial.caller, trial.choices, trial.losses, self._outside)
        await mix.prepare()
        await asyncio.gather(*[mix.one(name) for name in mix.names()])

    async def work(self, trial: Trial) -> None:
        """All at once."""
        async with trial.killer.running(rate=self._kills, seconds=self._seconds):
            note_lateness(trial.ledger, await drive(self._mix.one, rate=self._rate, seconds=self._seconds))

    async def clean(self, _trial: Trial) -> None:
        """Delete everything."""
        await self._mix.clean()


def soak_ordinary(server: SkepServer, *, runs: int, seed: int) -> int:
    """Only ordinary runs; the exit status."""
    done = uvloop.run(soak(server.url, runs=runs, seed=seed))
    for name, count in sorted(done.runs.items()):
        print(f"{count:>8}  {name}")
    total = done.runs.total()
    print(f"{total:>8}  runs in {done.elapsed_s:.1f} s, {total / done.elapsed_s:.0f} a second")
    print(f"{len(done.unexpected):>8}  unexpected answers")
    for problem in done.unexpected:
        print(problem)
    return 1 if done.unexpected or total < runs else 0


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, default=5, help="of the mix; default 5")
    length.add_argument("--runs", type=int, help="of ordinary functions, and nothing else")
    parser.add_argument("--rate", type=float, default=50, help="requests a second of the mix; default 50")
    parser.add_argument("--kills", type=float, default=KILLS_A_SECOND, help="workers a second; default 0.5")
    parser.add_argument("--seed", type=int, default=1, help="of all that is random")
    options = parser.parse_args()
    if options.runs is not None:
        if not 1 <= options.runs <= MAX_RUNS:
            parser.error(f"--runs is a number from 1 to {MAX_RUNS}")
        with open_skep() as server:
            return soak_ordinary(server, runs=options.runs, seed=options.seed)
    if not 0 < options.minutes <= MAX_MINUTES:
        parser.error(f"--minutes is a number up to {MAX_MINUTES}")
    with open_skep(SETTINGS) as server:
        everything = Everything(seconds=options.minutes * 60, rate=options.rate, kills=options.kills)
        ledger = uvloop.run(hold(server, everything, seed=options.seed))
    ledger.report()
    return 1 if ledger.violations else 0


if __name__ == "__main__":
    raise SystemExit(main())
