"""Ids for runs and requests: unique without asking anybody, and in order of time when sorted as text."""

import random
import time
from typing import Final

_random: Final = random.Random()  # noqa: S311  # ids must differ, not be secret; asking the system costs 5 µs a run


def new_id() -> str:
    """48 bits of milliseconds and 80 random bits, in hexadecimal."""
    return f"{time.time_ns() // 1_000_000:012x}{_random.getrandbits(80):020x}"
