"""What a service holds when it has nothing to do: descriptors, processes, files. And its memory while it works."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

from bench.family import Family
from bench.ledger import Ledger
from bench.processes import name_of, read_private_mib
from bench.servers import SkepServer

QUIET_TIMEOUT_S: Final = 30.0
"""So long a service may take to come to rest: the timeouts of connections and workers that are idle are shorter."""
_POLL_S: Final = 0.05
_SAMPLE_S: Final = 0.5
_SAMPLES_MIN: Final = 24
_NUMBER: Final = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Held:
    """How much of what, by a name that is the same each time."""

    counts: Counter[str]

    def difference(self, before: "Held") -> list[str]:
        """What there is more of, or less."""
        names = sorted(self.counts.keys() | before.counts.keys())
        return [
            f"{name}: {before.counts[name]} before, {self.counts[name]} now"
            for name in names
            if self.counts[name] != before.counts[name]
        ]


def read_held(server: SkepServer, family: Family) -> Held:
    """Descriptors of the service and of its zygote, processes by name, files on the volume and temporary ones."""
    counts: Counter[str] = Counter()
    for process in family.read():
        role = "service" if process.pid == server.pid else name_of(process.pid)
        counts[f"processes called {role}"] += 1
        if server.pid in {process.pid, process.parent}:
            for kind in _descriptors(process.pid):
                counts[f"descriptors of {role}: {kind}"] += 1
    for folder in (server.volume, server.temporary):
        for path in folder.rglob("*"):
            counts[f"files: {folder.name}/{path.relative_to(folder)}"] += 1
    return Held(counts)


def _descriptors(pid: int) -> list[str]:
    """What each descriptor is: socket, pipe, pidfd, eventpoll, or the path of a file."""
    kinds: list[str] = []
    try:
        links = list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError as error:
        return [f"cannot be read ({error.strerror})"]
    for link in links:
        with suppress(FileNotFoundError):  # closed meanwhile
            kind, _, rest = str(link.readlink()).partition(":")
            kinds.append(rest.strip("[]") if kind == "anon_inode" else _NUMBER.sub("N", kind))
    return kinds


async def wait_until_quiet(server: SkepServer, family: Family) -> Held:
    """Wait until no worker is left, and then for the rest to stay the same; what is held then, or after the timeout."""
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + QUIET_TIMEOUT_S
    held = read_held(server, family)
    while loop.time() < give_up_at:
        await asyncio.sleep(_POLL_S)
        before, held = held, read_held(server, family)
        if not held.counts["processes called skep-worker"] and held == before:
            break
    return held


async def check_held(server: SkepServer, family: Family, before: Held, ledger: Ledger) -> None:
    """A violation for everything that a service at rest does not hold as it did before."""
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + QUIET_TIMEOUT_S
    while left := read_held(server, family).difference(before):
        if loop.time() >= give_up_at:
            for line in left:
                ledger.violate("leaked", line)
            return
        await asyncio.sleep(_POLL_S)
    total = sum(count for name, count in before.counts.items() if name.startswith("descriptors of service"))
    ledger.notes.append(f"at rest the service holds what it held before: {total} descriptors, no worker, no file more")


@dataclass(slots=True)
class Memory:
    """Private memory of the service, sampled while it works."""

    samples_mib: list[float] = field(default_factory=list)

    def check(self, ledger: Ledger, *, growth_max_mib: float) -> None:
        """The first third is for warming up; from then on it may grow by so much and no more."""
        rest = self.samples_mib[len(self.samples_mib) // 3 :]
        if len(self.samples_mib) < _SAMPLES_MIN:
            ledger.notes.append(f"memory of the service: not judged by {len(self.samples_mib)} samples")
            return
        part = len(rest) // 4
        first, last = median(rest[:part]), median(rest[-part:])
        ledger.notes.append(
            f"memory of the service: {self.samples_mib[0]:.1f} MiB at first, {first:.1f} after a third, {last:.1f} at "
            f"the end, {max(self.samples_mib):.1f} at most"
        )
        if last - first > growth_max_mib:
            ledger.violate("memory grows", f"from {first:.1f} to {last:.1f} MiB; {growth_max_mib:.0f} are allowed")


@asynccontextmanager
async def sampled(pid: int, read: Callable[[int], float] = read_private_mib) -> AsyncIterator[Memory]:
    """Look at the memory of a process again and again, as long as this is open."""
    memory = Memory()

    async def look() -> None:
        while True:
            memory.samples_mib.append(read(pid))
            await asyncio.sleep(_SAMPLE_S)

    task = asyncio.create_task(look())
    try:
        yield memory
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
