"""Takes every guard of the fence out, one at a time, and sees which programs then reach their goal.

    python -m tests.escapes.mutations            with each guard, the program that it names
    python -m tests.escapes.mutations --all      every program with each guard: how many get through

Ends with a table, and with status 1 if a guard is held by no program.
"""

import gc
import sys
from collections.abc import Iterator
from functools import partial

from tests.escapes import fence  # it takes what preloading replaces
from tests.escapes.apart import apart
from tests.escapes.room import REACHED, Escape, read_escapes, run_escape


def say(line: str) -> None:
    """One line of the table."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Print what was found; the exit status."""
    from sandbox.python.modules import DEFAULT_MODULES, preload  # noqa: PLC0415 - after the originals were taken

    preload(DEFAULT_MODULES)
    gc.freeze()  # so that forks share more
    from tests.escapes import fence_library, fence_names, fence_objects  # noqa: PLC0415 - same

    guards = [*fence_names.GUARDS, *fence_objects.GUARDS, *fence_library.GUARDS]
    escapes = read_escapes()
    everything = "--all" in sys.argv
    open_ways = [name for name in escapes if everything and apart(partial(run_escape, escapes[name])) == REACHED]
    for name in open_ways:
        say(f"OPEN      {name}: no guard stops it")
    unheld = 0
    for guard in guards:
        tried = list(escapes.values()) if everything else [escapes[guard.witness]]
        reached = list(_reached(guard, tried))
        unheld += guard.witness not in reached
        shown = f"{len(reached):3} {', '.join(reached[:3])}" if everything else ", ".join(reached)
        say(f"{'held' if guard.witness in reached else 'NOT HELD':9} {guard.name:60} {shown}")
    say(f"{len(guards)} guards, {len(escapes)} programs, {unheld} guards held by none")
    return int(unheld > 0 or bool(open_ways))


def _reached(guard: fence.Guard, escapes: list[Escape]) -> Iterator[str]:
    for escape in escapes if len(escapes) == 1 else _suspected(guard, escapes):

        def without(escape: Escape = escape) -> str:
            guard.remove()
            return run_escape(escape)

        if apart(without) == REACHED:
            yield escape.identifier


def _suspected(guard: fence.Guard, escapes: list[Escape]) -> list[Escape]:
    """Those that get through when all run in one process, where one may have broken something for the next."""

    def without() -> str:
        guard.remove()
        return "\n".join(escape.identifier for escape in escapes if run_escape(escape) == REACHED)

    found = set(apart(without).splitlines()) | {guard.witness}
    return [escape for escape in escapes if escape.identifier in found]


if __name__ == "__main__":
    sys.exit(main())
