"""Runs something in a process of its own, which is thrown away."""

import os
from collections.abc import Callable


def apart(attempt: Callable[[], str]) -> str:
    """What this says in a process of its own: what it breaks goes with it."""
    readable, writable = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(readable)
            os.write(writable, attempt().encode())
        except BaseException as error:  # noqa: BLE001 - told to the parent
            os.write(writable, f"broken: {error!r}".encode()[:4000])
        finally:
            os._exit(0)
    os.close(writable)
    with os.fdopen(readable, "rb") as said:
        outcome = said.read().decode()
    os.waitpid(pid, 0)
    return outcome
