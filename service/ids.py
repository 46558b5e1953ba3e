"""Ids for runs and requests: unique without asking anybody, and in order of time when sorted as text."""

import itertools
import secrets
import time
from typing import Final

# Not a fresh random number for each id: asking for those costs a run two microseconds.
_PROCESS: Final = f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(5)}"
_numbers: Final = itertools.count()


def new_id() -> str:
    """48 bits for when this process began, 40 random bits, and a count of 40 bits, in hexadecimal."""
    return f"{_PROCESS}{next(_numbers):010x}"
