"""The pool of a workspace: how many workers it has, how many runs they take, and how long runs may wait for them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.errors import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolRules:
    """What holds for one workspace. floor <= cruise <= ceil."""

    floor: int = 0
    """Workers that are kept warm."""
    ceil: int = 1
    """Workers at the most."""
    cruise: int = 1
    """Workers that are kept when a rush is over."""
    concurrency: int = 64
    """Runs that interleave in one worker."""
    queue: int = 256
    """Runs that may wait."""
    timeout_ms: int = 10_000
    """For so long."""
    runs: int = 0
    """Runs under way in all workers, where the workspace limits itself; 0 for as many as there is room for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolBounds:
    """What the operator says: the rules of who does not care, and the most that one may ask for."""

    usual: PoolRules = PoolRules()
    ceil_max: int = 8
    concurrency_max: int = 1000
    queue_max: int = 10_000
    timeout_max_ms: int = 60_000

    def rules(self, given: Mapping[str, Any] | None) -> PoolRules:
        """The rules of a workspace that says this, or nothing, about its pool.

        What it does not say gives way to what it says (a floor of 2 alone has a ceil of 2), and what was stored before
        the operator set the bounds lower is cut to them.
        """
        given = given or {}
        usual = self.usual
        ceil = given.get("ceil", max(usual.ceil, given.get("cruise", 0), given.get("floor", 0)))
        ceil = max(1, min(ceil, self.ceil_max))
        floor = min(given.get("floor", min(usual.floor, given.get("cruise", usual.floor))), ceil)
        cruise = min(max(given.get("cruise", usual.cruise), floor), ceil)
        return PoolRules(
            floor=floor,
            ceil=ceil,
            cruise=cruise,
            concurrency=min(given.get("concurrency", usual.concurrency), self.concurrency_max),
            queue=min(given.get("queue", usual.queue), self.queue_max),
            timeout_ms=min(given.get("timeout", usual.timeout_ms), self.timeout_max_ms),
        )

    def problems(self, given: Mapping[str, Any] | None) -> list[Problem]:
        """What a workspace asks for beyond the operator's bounds."""
        most = {
            "floor": self.ceil_max,
            "cruise": self.ceil_max,
            "ceil": self.ceil_max,
            "concurrency": self.concurrency_max,
            "queue": self.queue_max,
            "timeout": self.timeout_max_ms,
        }
        return [
            Problem(f"pool.{name}", f"must not be more than {most[name]}, the operator's limit")
            for name, value in (given or {}).items()
            if value > most[name]
        ]
