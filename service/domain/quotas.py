"""Quotas: what the operator lets a workspace have, and what of it a workspace leaves to itself.

0 is no limit, everywhere: in settings, in overrides, and here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from math import isfinite
from typing import Any, Final, NamedTuple

from service.domain.values import Problems, check_values, must_be
from service.errors import Problem

QUOTA_MOST: Final = 10**12
"""Far beyond what any of them could mean."""
DAYS_MOST: Final = 36_500
"""The same of days, from which times are computed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotas:
    """What one workspace may have."""

    runs_per_minute: int = 0
    runs_burst: int = 0
    """Of these, so many at a time; 0, or more than there are, for all of them."""
    runs_concurrent: int = 0
    """Under way at once in one service; more wait."""
    functions_max: int = 0
    code_max_bytes: int = 0
    """Of all functions together, as UTF-8."""
    history_days: int = 0
    history_rows: int = 0

    def changed(self, override: Mapping[str, int]) -> "Quotas":
        """These, but for what an override says."""
        return replace(self, **override)

    def rate(self, own_per_minute: int = 0) -> "Rate | None":
        """How many runs may begin, where the workspace itself says so many a minute; None for any number."""
        per_minute = narrowed(self.runs_per_minute, own_per_minute)
        return Rate(per_minute, narrowed(self.runs_burst, per_minute)) if per_minute else None

    def problems(self, size: "Size", before: "Size | None") -> list[Problem]:
        """What is too large about a definition that is to take the place of another.

        What is no larger than it was is let through: a quota that was lowered ends nothing, and forbids no mending.
        """
        before = before or Size(0, 0)
        problems: list[Problem] = []
        if self.functions_max and before.functions < size.functions > self.functions_max:
            problems.append(Problem("functions", f"has {size.functions} functions; the quota is {self.functions_max}"))
        if self.code_max_bytes and before.code_bytes < size.code_bytes > self.code_max_bytes:
            found = f"has {size.code_bytes} bytes of code; the quota is {self.code_max_bytes}"
            problems.append(Problem("functions", found))
        return problems


class Rate(NamedTuple):
    """So many runs a minute, and so many of them at a time."""

    per_minute: int
    burst: int


class RateState(NamedTuple):
    """What is left of a rate."""

    limit: int
    """A minute."""
    remaining: int
    """Runs that could begin now."""
    reset_s: int
    """When there will be one more; 0 if there are as many as there can be."""


class Size(NamedTuple):
    """How large a workspace is."""

    functions: int
    code_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnLimits:
    """What a workspace says in its `limits`. It can only narrow what the operator lets it have."""

    runs_per_minute: int = 0
    runs_concurrent: int = 0


QUOTA_NAMES: Final = tuple(field.name for field in fields(Quotas))
LIMIT_NAMES: Final = tuple(field.name for field in fields(OwnLimits))


def narrowed(most: int, own: int) -> int:
    """The lesser of two limits, of which 0 is none."""
    return min(most, own) if most and own else most or own


def most_of(quota: str) -> int:
    """The largest that a quota can be set to."""
    return DAYS_MOST if quota == "history_days" else QUOTA_MOST


def size_of(document: Mapping[str, Any]) -> Size:
    """How large a checked definition is."""
    functions = document["functions"]
    return Size(len(functions), sum(len(function["code"].encode()) for function in functions.values()))


def check_override(document: object) -> dict[str, int]:
    """An override as it was sent. Raises: InvalidRequest with every problem."""
    problems = Problems()
    override: dict[str, int] = {}
    if not check_values(document, problems):
        pass
    elif not isinstance(document, dict):
        problems.add("", must_be("an object", document))
    else:
        for name, value in document.items():
            if name not in QUOTA_NAMES:
                problems.add(name, f"is no quota; there are {', '.join(QUOTA_NAMES)}")
            elif isinstance(value, float) and not isfinite(value):
                pass  # no JSON value, which was said already
            elif isinstance(value, bool) or not isinstance(value, int | float) or not _is_whole(value):
                problems.add(name, must_be("a whole number, 0 for no limit", value))
            elif not 0 <= value <= most_of(name):
                problems.add(name, f"must be from 0, which is no limit, to {most_of(name)}")
            else:
                override[name] = int(value)
    problems.raise_if_any()
    return override


def _is_whole(value: float) -> bool:
    """JSON does not tell 2.0 from 2."""
    return isinstance(value, int) or value.is_integer()
