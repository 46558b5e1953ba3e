"""Hostile programs and what they say must happen. See programs/README.md for how one is written."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

FOLDER: Final = Path(__file__).with_name("programs")
KINDS: Final = ("native", "restricted")
TIMEOUT_MS: Final = 1500
SHORT_TIMEOUT_MS: Final = 120
"""Of what is to run into it."""
THEN: Final = "# then"

NEXT: Final = ("is fine", "may be lost", "is not asked")

Ends = Literal["return", "raise", "end", "refuse"]


class BadProgram(Exception):
    """A file that does not say what must happen, or says it wrongly."""


@dataclass(frozen=True)
class Claim:
    """How a run must end: `return` a value, `raise` one of these types, or `end` with one of these error codes."""

    ends: Ends
    value: Any
    lives: bool | None
    """Whether the worker must be the same afterwards; None where that is the program's own affair."""


@dataclass(frozen=True)
class Part:
    """One function of a program, and what must come of running it once."""

    code: str
    claim: Claim
    timeout_ms: int
    next: str
    """Of the next run of the workspace: one of `NEXT`."""


@dataclass(frozen=True)
class Program:
    """One file: its parts run in order, in one workspace."""

    name: str
    is_native: bool
    about: str
    parts: tuple[Part, ...]


def all_programs() -> list[Program]:
    """Every file in the folder. Raises: BadProgram."""
    return [read(path) for path in sorted(FOLDER.glob("*.txt"))]


def read(path: Path) -> Program:
    """One file. Raises: BadProgram."""
    texts = list(_parts(path.read_text().splitlines(keepends=True)))
    kind = texts[0].partition("\n")[0].removeprefix("# ")
    if kind not in KINDS:
        raise BadProgram(f"{path.name}: the first line must be one of {', '.join(KINDS)}, not {kind!r}")
    parts = []
    about = ""
    for text in texts:
        fields, said = _header(path.name, text)
        about = about or said
        claim = _claim(path.name, fields.get("must", ""))
        usual = SHORT_TIMEOUT_MS if claim.ends == "end" and "FunctionTimeout" in claim.value else TIMEOUT_MS
        parts.append(
            Part(
                code=text,
                claim=claim,
                timeout_ms=int(fields.get("timeout", usual)),
                next=_next(path.name, fields.get("next", NEXT[0])),
            )
        )
    if not about:
        raise BadProgram(f"{path.name}: it does not say what it tries")
    return Program(path.stem, kind == "native", about, tuple(parts))


def _parts(lines: list[str]) -> Iterator[str]:
    """The texts between the lines `# then`, each with the file's first line above it."""
    part: list[str] = []
    for line in lines:
        if line.rstrip() == THEN:
            yield "".join(part)
            part = [lines[0]]
        else:
            part.append(line)
    yield "".join(part)


def _header(name: str, text: str) -> tuple[dict[str, str], str]:
    fields: dict[str, str] = {}
    said: list[str] = []
    for line in text.splitlines()[1:]:
        if not line.startswith("# "):
            break
        key, colon, value = line.removeprefix("# ").partition(": ")
        if colon and key in {"must", "timeout", "next"}:
            if key in fields:
                raise BadProgram(f"{name}: it says {key!r} twice")
            fields[key] = value
        else:
            said.append(key + colon + value)
    return fields, " ".join(said)


def _next(name: str, said: str) -> str:
    if said not in NEXT:
        raise BadProgram(f"{name}: the next run {', '.join(NEXT)}, but not {said!r}")
    return said


def _claim(name: str, must: str) -> Claim:
    said, _, worker = must.partition(" and the worker ")
    if worker not in {"", "lives", "dies"}:
        raise BadProgram(f"{name}: a worker lives or dies, it does not {worker!r}")
    lives = {"": None, "lives": True, "dies": False}[worker]
    match said.split(" ", 1):
        case ["return", value]:
            return Claim("return", json.loads(value), lives)
        case ["raise" | "end" | "refuse" as ends, names]:
            return Claim(ends, frozenset(names.split("|")), lives)
    raise BadProgram(f"{name}: it must say `must: return|raise|end|refuse …`, not {must!r}")
