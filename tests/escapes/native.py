"""Runs every program with no sandbox at all, and writes as JSON how each ended.

    python -m tests.escapes.native

One that does not reach its goal here shows nothing when it does not reach it there.
"""

import contextlib
import json
import sys
from functools import partial

from tests.escapes.apart import apart
from tests.escapes.room import read_escapes, run_natively

if __name__ == "__main__":
    escapes = [escape for escape in read_escapes().values() if not escape.only_here]
    with contextlib.redirect_stdout(sys.stderr):  # some of them print
        ended = {escape.identifier: apart(partial(run_natively, escape)) for escape in escapes}
    json.dump(ended, sys.stdout)
