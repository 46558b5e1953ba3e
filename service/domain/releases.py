"""Which revision a run gets: aliases, each for one revision or for several with weights."""

import random
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from math import isfinite
from typing import Any, Final, Self

from service.domain.names import WORKSPACE_NAME
from service.domain.values import must_be, shown
from service.errors import InvalidRequest, Problem

TARGETS_MAX: Final = 10
LIVE: Final = "live"
"""The alias of this name is what runs get that name no revision."""
NUMBER_MAX: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Alias:
    """Revisions by number, each with a weight; `weights` add up as `bounds`."""

    numbers: tuple[int, ...]
    weights: tuple[float, ...]
    bounds: tuple[float, ...]

    @classmethod
    def of(cls, weights: Mapping[int, float]) -> Self:
        """In the order of their numbers."""
        numbers = tuple(sorted(weights))
        given = tuple(weights[number] for number in numbers)
        return cls(numbers, given, tuple(accumulate(given)))

    def choose(self) -> int:
        """One of them, each as often as its weight says."""
        if len(self.numbers) == 1:
            return self.numbers[0]
        at = random.random() * self.bounds[-1]  # noqa: S311  # nobody gains by guessing it
        return self.numbers[min(bisect_right(self.bounds, at), len(self.numbers) - 1)]

    @property
    def document(self) -> dict[str, Any]:
        """As it is given and shown."""
        if len(self.numbers) == 1:
            return {"revision": self.numbers[0]}
        return {"revisions": {str(number): weight for number, weight in zip(self.numbers, self.weights, strict=True)}}

    @classmethod
    def from_document(cls, document: object) -> Self:
        """Check what was sent. Raises: InvalidRequest with every problem."""
        if not isinstance(document, dict):
            raise InvalidRequest([Problem("", must_be("an object", document))])
        problems = [
            Problem(shown(name), "unknown field; there is revision, revisions")
            for name in document.keys() - {"revision", "revisions"}
        ]
        if len(document.keys() & {"revision", "revisions"}) != 1:
            problems.append(Problem("", "must have either revision, a number, or revisions, weights by number"))
        weights: dict[int, float] = {}
        if "revision" in document:
            number = document["revision"]
            if isinstance(number, float) and number.is_integer():  # JSON does not tell 2.0 from 2
                number = int(number)
            if type(number) is int and 0 < number <= NUMBER_MAX:
                weights[number] = 1.0
            else:
                problems.append(Problem("revision", "must be the number of a revision"))
        elif "revisions" in document:
            problems += _read_weights(document["revisions"], weights)
        if problems:
            raise InvalidRequest(problems)
        return cls.of(weights)


def _read_weights(given: object, weights: dict[int, float]) -> list[Problem]:
    if not isinstance(given, dict) or not 0 < len(given) <= TARGETS_MAX:
        return [Problem("revisions", f"must be an object of 1 to {TARGETS_MAX} weights by the number of a revision")]
    problems: list[Problem] = []
    for key, weight in given.items():
        path = f"revisions.{shown(str(key))}"
        number = revision_number(str(key))
        if number is None:
            problems.append(Problem(path, "is not the number of a revision"))
        elif type(weight) not in {int, float} or not 0 < weight <= 1e9 or not isfinite(weight):  # noqa: PLR2004
            problems.append(Problem(path, "must be a weight: a number above 0, and at most 1e9"))
        else:
            weights[number] = float(weight)
    return problems


def revision_number(text: str) -> int | None:
    """The number that this says; None if it says none."""
    if not text.isascii() or not text.isdigit() or len(text) > 10 or text.startswith("0"):  # noqa: PLR2004
        return None
    return int(text) if int(text) <= NUMBER_MAX else None


def is_alias_name(name: str) -> bool:
    """Named like workspaces, but not like numbers."""
    return WORKSPACE_NAME.fullmatch(name) is not None and not name[0].isdigit()
