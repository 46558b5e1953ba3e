"""What is promised, and how a figure compares with it."""

import operator
from dataclasses import dataclass
from typing import Final, Literal

from bench.kernel_functions import KERNELS

Verdict = Literal["PASS", "miss", "void", ""]
_HOLDS: Final = {"≥": operator.ge, "≤": operator.le, ">": operator.gt, "<": operator.lt}


@dataclass(frozen=True, slots=True)
class Target:
    """A bound on one figure, in the figure's own unit."""

    relation: Literal["≥", "≤", ">", "<"]
    bound: float

    def judge(self, value: float) -> Verdict:
        return "PASS" if _HOLDS[self.relation](value, self.bound) else "miss"

    def __str__(self) -> str:
        return f"{self.relation} {self.bound:g}"


TARGETS: Final = {
    "throughput, 32 connections": Target("≥", 0.75),  # times the floor
    "p50 alone, above the floor": Target("≤", 0.25),  # ms
    "cold start, p50": Target("≤", 1.0),  # times python3 -I -S -c pass
    "compiling 1,000 lines": Target("≤", 150.0),  # ms
    "private memory, largest idle worker": Target("≤", 4.0),  # MiB; "each" worker, so the largest counts
    "fetch, 16 at once": Target("≥", 0.6),  # times a bare aiohttp client
    "p50 alone, 500 workspaces": Target("≤", 1.3),  # times the same with one
    # Times Skep without the jail.
    "cold start, jailed": Target("≤", 1.15),
    "throughput, jailed": Target("≥", 0.85),
    "private memory, jailed": Target("≤", 1.15),
    "throughput, history": Target("≥", 0.9),  # times Skep that keeps none
    # Times the same without an attack.
    **{
        f"p99 beside a {attack}, {callers}": Target("≤", 3.0)
        for attack in ("memory bomb", "fork bomb", "log flood", "spinning loop")
        for callers in ("1 caller", "4 callers")
    },
    # Times the speed of the same source in a plain Python.
    **{f"kernel: {kernel}": Target("≥", 0.8) for kernel in KERNELS.values()},
    "kernels, geometric mean": Target("≥", 0.92),
    # Overload: times the peak, and ms.
    **{
        f"{name}, {function}, {factor} x": target
        for name, target in {
            "goodput": Target("≥", 0.9),
            "accepted p99 beyond the queue timeout": Target("≤", 50.0),
            "refusal p99 above the floor": Target("<", 10.0),
            "expiry p99 beyond the queue timeout": Target("≤", 50.0),
        }.items()
        for function in ("waiting", "burning")
        for factor in (2, 10)
    },
    # Times the same alone, and ms.
    "p50 beside 500 callers, waiting": Target("≤", 3.0),
    "longest wait beside 500 callers, burning": Target("<", 1000.0),
    # Times the same function under functions-framework.
    "throughput, functions-framework threaded": Target("≥", 4.0),
    "throughput, functions-framework ASGI": Target(">", 1.0),
    "throughput, functions-framework ASGI with uvloop": Target(">", 1.0),
}


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table."""

    name: str
    value: float
    unit: str
    detail: str
    is_void: bool = False
    """The machine was too busy with other things: the figure says nothing, its target is neither met nor missed."""

    @property
    def target(self) -> Target | None:
        return TARGETS.get(self.name)

    @property
    def verdict(self) -> Verdict:
        if self.target is None:
            return ""
        return "void" if self.is_void else self.target.judge(self.value)


@dataclass(frozen=True, slots=True)
class Measured:
    """What one measure found: its lines of the table, and what they were made from, for the JSON file."""

    figures: list[Figure]
    data: dict[str, object]
