"""The check for an expired run, for our own code: libraries that swallow exceptions must not swallow that one."""

from collections.abc import Callable
from typing import Final


def _never() -> None:
    """Before there is a namespace there is no run."""


class _Checks:
    """One worker serves one workspace, so there is one check for a process."""

    __slots__ = ("check",)

    def __init__(self) -> None:
        self.check: Callable[[], None] = _never


CHECKS: Final = _Checks()
