"""`python -m tests.differential`: thousands of generated programs, each outside and in a worker, and none that differs.

Exit status 1 if one does; it is printed as small as it could be made. Ends by itself.
"""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.differential.comparing import Comparison, compare, smallest
from tests.differential.programs import generated, is_valid
from tests.skep import client_of, running_skep

ROUND: Final = 500
"""Programs that are generated at once: hypothesis remembers them all, to make none twice."""
PROGRAMS_MAX: Final = 1_000_000
DIFFERENCES_MAX: Final = 20
"""After that many the search has shown what it can and ends."""
SHRUNK_MAX: Final = 5


async def search(folder: Path, *, programs: int, seed: int) -> Comparison:
    """Compare so many programs; of the differences, the first few are made small."""
    total = Comparison()
    with running_skep(folder) as skep:
        async with client_of(skep) as client:
            number = seed
            while (left := programs - total.ended.total()) > 0 and len(total.differences) < DIFFERENCES_MAX:
                batch = [program for program in generated(min(ROUND, left), number=number) if is_valid(program)]
                found = await compare(client, batch)
                for difference in found.differences:
                    small = len(total.differences) < SHRUNK_MAX
                    total.differences.append(await smallest(client, difference) if small else difference)
                    if small:
                        print(total.differences[-1], flush=True)
                total.ended += found.ended
                total.disturbed += found.disturbed
                number += 1
    return total


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__)
    parser.add_argument("--programs", type=int, default=20_000, help="default 20000")
    parser.add_argument("--seed", type=int, default=1, help="of the first round; each round has the next")
    options = parser.parse_args()
    if not 1 <= options.programs <= PROGRAMS_MAX:
        parser.error(f"--programs is a number from 1 to {PROGRAMS_MAX}")
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        total = asyncio.run(search(Path(folder), programs=options.programs, seed=options.seed))
    for kind, count in total.ended.most_common(12):
        print(f"{count:>8}  {kind}")
    compared = total.ended.total()
    elapsed = f"{time.perf_counter() - started:.0f} s"
    if total.disturbed:
        print(f"{total.disturbed:>8}  differed among others, not alone: garbage of one run was collected in the next")
    returned = f"{total.returned_percent:.0f} % returned"
    print(f"{compared} programs compared in {elapsed}, {returned}, {len(total.differences)} differ")
    return 1 if total.differences or compared < options.programs else 0


if __name__ == "__main__":
    raise SystemExit(main())
