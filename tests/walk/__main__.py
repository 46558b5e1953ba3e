"""`python -m tests.walk [depth]`: says what was found, how far the walk went, and exits with 1 if anything was found.

The depth is how many objects of a class are looked into, and how often methods of one name are called.
"""

import contextlib
import io
import os
import sys

from tests.walk.roots import arguments, make_roots
from tests.walk.walker import DEPTH, Walker
from tests.walk.ways import end_long_calls


def main() -> int:
    """Returns the exit status."""
    end_long_calls()
    roots = make_roots()
    depth = int(sys.argv[1]) if len(sys.argv) > 1 else DEPTH
    walker = Walker(roots, arguments=arguments(roots), seen=roots["<seen>"], depth=depth)
    with contextlib.redirect_stdout(io.StringIO()):  # calendars print themselves
        walker.walk()
    lines = [f"{what}: {way}" for way, what in walker.found.items()]
    sys.stdout.write("\n".join([*lines, f"{walker.visited} objects, {len(walker.found)} found"]) + "\n")
    return 1 if walker.found else 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # what has been called in every way is not fit for an orderly end
