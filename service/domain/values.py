"""What a definition may be made of: JSON values, nested so far and no further. And what is wrong with one, collected.

Everything here is iterative: a body that is one long run of `[` must end as a problem with a path.
"""

import math
from collections.abc import Iterable
from typing import Any, Final

from service.errors import InvalidRequest, Problem

DEPTH_MAX: Final = 64
"""Objects and arrays within one another, the outermost included."""
VALUES_MAX: Final = 100_000
"""Names and values in one definition. Checking them, and reading them back from YAML, holds the event loop."""
PROBLEMS_MAX: Final = 200
SHOWN_MAX: Final = 80
"""Characters of a tenant's text that a path or a message repeats."""
INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**64 - 1
"""Beyond these JSON integers have no common form; orjson neither reads nor writes them."""

_KINDS: Final[dict[type, str]] = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "an array",
    dict: "an object",
}

_Trail = tuple["_Trail", str | int] | None
"""A path while walking, from the leaf up: joining strings for every value would cost more than the checks."""


class Problems:
    """Everything found so far; the first `PROBLEMS_MAX` are kept, the others counted."""

    def __init__(self) -> None:
        self._kept: list[Problem] = []
        self.count = 0

    def add(self, path: str, message: str) -> None:
        self.count += 1
        if self.count <= PROBLEMS_MAX:
            self._kept.append(Problem(path, message))

    def raise_if_any(self) -> None:
        """Raises: InvalidRequest, its last problem saying how many there are beyond those listed."""
        if self.count > PROBLEMS_MAX:
            raise InvalidRequest([*self._kept, Problem("", f"there are {self.count - PROBLEMS_MAX} more problems")])
        if self._kept:
            raise InvalidRequest(self._kept)


def kind(value: object) -> str:
    """What a person calls a value of this type, with its article."""
    return _KINDS.get(type(value)) or f"a Python {type(value).__name__}"


def must_be(expected: str, value: object) -> str:
    return f"must be {expected}, not {kind(value)}"


def shown(text: str) -> str:
    """A tenant's text, fit for a message: not too long, and nothing in it that UTF-8 cannot carry."""
    short = text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}…"
    return short.encode("utf-8", "backslashreplace").decode()


def join(path: str, key: str) -> str:
    return f"{path}.{shown(key)}" if path else shown(key)


def check_values(document: object, problems: Problems) -> bool:
    """Report everything that has no JSON form; False, that being the only problem, if there is too much to look at."""
    if not isinstance(document, dict | list):
        _check_scalar(document, None, problems)
        return True
    if not _measure(document, problems):
        return False
    pending: list[tuple[Any, _Trail]] = [(document, None)]
    while pending:
        container, trail = pending.pop()
        if isinstance(container, dict):
            _check_keys(container, trail, problems)
        for key, value in _items(container):
            if isinstance(value, dict | list):
                pending.append((value, (trail, key)))
            else:
                _check_scalar(value, (trail, key), problems)
    return True


def _measure(document: object, problems: Problems) -> bool:
    pending: list[tuple[Any, _Trail, int]] = [(document, None, 1)]
    values = 1
    while pending:
        container, trail, depth = pending.pop()
        if depth > DEPTH_MAX:
            message = f"is nested too deeply: at most {DEPTH_MAX} objects and arrays in one another"
            problems.add(_dotted(trail), message)
            return False
        values += len(container) * (2 if isinstance(container, dict) else 1)
        if values > VALUES_MAX:
            problems.add("", f"has too much in it: at most {VALUES_MAX} names and values")
            return False
        pending += [
            (value, (trail, key), depth + 1) for key, value in _items(container) if isinstance(value, dict | list)
        ]
    return True


def _items(container: Any) -> Iterable[tuple[str | int, Any]]:
    """What an object or an array holds, by name or index; what has another kind of name is not looked at."""
    if isinstance(container, dict):
        return ((key, value) for key, value in container.items() if isinstance(key, str))
    return enumerate(container)


def _check_keys(container: dict[Any, Any], trail: _Trail, problems: Problems) -> None:
    for key in container:
        if not isinstance(key, str):
            problems.add(_dotted(trail), f"has a key that is {kind(key)}: every key must be a string")
        elif _is_broken(key):
            problems.add(_dotted((trail, key)), "has half a surrogate pair in its name, which is no character")


def _check_scalar(value: object, trail: _Trail, problems: Problems) -> None:
    message = _scalar_problem(value)
    if message is not None:
        problems.add(_dotted(trail), message)


def _scalar_problem(value: object) -> str | None:
    match value:
        case str():
            return "has half a surrogate pair in it, which is no character" if _is_broken(value) else None
        case bool() | None:
            return None
        case int():
            return None if INT_MIN <= value <= INT_MAX else "is an integer of more than 64 bits"
        case float():
            return None if math.isfinite(value) else "is no finite number, and JSON has no other"
        case _:
            return must_be("a JSON value", value)


def _is_broken(text: str) -> bool:
    if text.isascii():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _dotted(trail: _Trail) -> str:
    keys: list[str] = []
    while trail is not None:
        trail, key = trail
        keys.append(shown(str(key)))
    return ".".join(reversed(keys))
