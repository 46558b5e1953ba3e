"""Runs programs on both sides and finds those that do not do the same."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.differential import native, worker
from tests.differential.outcomes import BATCH, Outcome, told
from tests.differential.shrinking import shrunk
from tests.skep import Client


@dataclass(frozen=True)
class Difference:
    """A program that did one thing outside and another in a worker."""

    program: str
    outside: Outcome
    within: Outcome

    def __str__(self) -> str:
        numbered = "".join(f"{number:4} {line}\n" for number, line in enumerate(self.program.splitlines(), 1))
        return f"{numbered}outside: {told(self.outside)}\nin a worker: {told(self.within)}\n"


@dataclass
class Comparison:
    """What came of comparing."""

    ended: Counter[str] = field(default_factory=Counter)
    """How the programs ended: `returned`, or the type of what was raised."""
    differences: list[Difference] = field(default_factory=list)
    disturbed: int = 0
    """Programs that differed among others and not alone: garbage of one run was collected in another."""

    @property
    def returned_percent(self) -> float:
        return 100 * self.ended["returned"] / max(1, self.ended.total())


async def compare(client: Client, programs: Sequence[str]) -> Comparison:
    """Run all of these programs on both sides, at the same time."""
    outside, within = await asyncio.gather(native.outcomes(programs), _within(client, programs))
    comparison = Comparison(Counter(found.kind for found in outside if not _is_too_long(found)))
    for number, (program, one, other) in enumerate(zip(programs, outside, within, strict=True)):
        if one == other or _is_too_long(one):
            continue
        alone = await worker.alone(client, program, number=number)
        if one == alone:
            comparison.disturbed += 1
        else:
            comparison.differences.append(Difference(program, one, alone))
    return comparison


def _is_too_long(found: Outcome) -> bool:
    return found.kind == native.TooLong.__name__


async def _within(client: Client, programs: Sequence[str]) -> list[Outcome]:
    found: list[Outcome] = []
    for start in range(0, len(programs), BATCH):
        found += await worker.outcomes(client, programs[start : start + BATCH])
    return found


async def smallest(client: Client, difference: Difference) -> Difference:
    """The smallest program found that differs, from one that does."""

    async def differing(programs: Sequence[str]) -> list[bool]:
        found = await compare(client, programs)
        differ = {each.program for each in found.differences}
        return [program in differ for program in programs]

    program = await shrunk(difference.program, differing)
    again = await compare(client, [program])
    return again.differences[0] if again.differences else difference
