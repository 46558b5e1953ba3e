"""Ordinary programs and what must come of them. See programs/README.md for how one is written."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

FOLDER: Final = Path(__file__).with_name("programs")
ORIGIN: Final = "{origin}"
"""Stands for the address of the server with the canned answers."""

_FIELDS: Final = frozenset({"about", "functions", "env", "fetch", "calls"})
_CALL_FIELDS: Final = frozenset({"run", "parameters", "returns", "raises", "logs"})


class BadProgram(Exception):
    """A file that does not say what must happen, or says it wrongly."""


@dataclass(frozen=True)
class Seen:
    """How a call ended, as far as both ways of running a program can tell."""

    raised: str | None
    value: Any
    logs: list[dict[str, Any]]


@dataclass(frozen=True)
class Call:
    """One call and what must come of it."""

    function: str
    parameters: Mapping[str, Any]
    raises: str | None
    returns: Any
    logs: list[Any] | None

    def check(self, seen: Seen) -> None:
        assert (seen.raised, seen.value) == (self.raises, self.returns)
        if self.logs is not None:
            expected = [entry if isinstance(entry, dict) else {"message": entry} for entry in self.logs]
            assert [
                entry if isinstance(wanted, dict) else {"message": entry["message"]}
                for wanted, entry in zip(self.logs, seen.logs, strict=True)
            ] == expected


@dataclass(frozen=True)
class Program:
    """One file."""

    name: str
    functions: Mapping[str, Mapping[str, Any]]
    env: Mapping[str, str]
    fetch: Mapping[str, list[Mapping[str, Any]]]
    """By method and path, what is answered, in order."""
    calls: tuple[Call, ...]


def all_programs() -> list[Program]:
    """Every file in the folder. Raises: BadProgram."""
    return [read(path) for path in sorted(FOLDER.glob("*.yaml"))]


def read(path: Path) -> Program:
    """One file. Raises: BadProgram."""
    # A slow reader would be the larger part of these tests.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    written = yaml.load(path.read_bytes(), loader)
    if unknown := written.keys() - _FIELDS:
        raise BadProgram(f"{path.name}: it has {', '.join(sorted(unknown))}")
    if not written.get("about") or not written.get("functions") or not written.get("calls"):
        raise BadProgram(f"{path.name}: it must say what it is about, its functions and the calls")
    functions = {
        name: {"code": given} if isinstance(given, str) else given for name, given in written["functions"].items()
    }
    routes = {
        route: answers if isinstance(answers, list) else [answers]
        for route, answers in written.get("fetch", {}).items()
    }
    calls = tuple(_call(path.name, call, list(functions)) for call in written["calls"])
    return Program(path.stem, functions, written.get("env", {}), routes, calls)


def _call(name: str, call: Mapping[str, Any], functions: list[str]) -> Call:
    if unknown := call.keys() - _CALL_FIELDS:
        raise BadProgram(f"{name}: a call has {', '.join(sorted(unknown))}")
    if ("returns" in call) == ("raises" in call):
        raise BadProgram(f"{name}: a call either returns or raises")
    if "run" not in call and len(functions) > 1:
        raise BadProgram(f"{name}: a call must say which function it runs")
    return Call(
        call.get("run", functions[0]),
        call.get("parameters", {}),
        call.get("raises"),
        call.get("returns"),
        call.get("logs"),
    )


def with_origin(value: Any, origin: str) -> Any:
    """The value, with the origin's address in its texts."""
    if isinstance(value, str):
        return value.replace(ORIGIN, origin)
    if isinstance(value, list):
        return [with_origin(item, origin) for item in value]
    if isinstance(value, dict):
        return {key: with_origin(item, origin) for key, item in value.items()}
    return value
