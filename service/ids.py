"""Ids for runs and requests: unique without asking anybody, and in order of time when sorted as text."""

import os
import time


def new_id() -> str:
    """48 bits of milliseconds and 80 random bits, in hexadecimal."""
    return f"{time.time_ns() // 1_000_000:012x}{os.urandom(10).hex()}"
