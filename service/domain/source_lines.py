"""What an error in a function points at: the line as its author wrote it, and a caret beneath."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from service.errors import CodeError

WIDTH_MAX: Final = 100
"""Characters of a line that are shown; of a longer one, those around the place."""


def pointed(errors: Iterable[CodeError], sources: Mapping[str, str]) -> list[CodeError]:
    """The errors with what they point at. `sources` is code by function; there may be functions that it has none of."""
    lines: dict[str, list[str]] = {}
    found: list[CodeError] = []
    for error in errors:
        if error.function in sources and error.function not in lines:
            lines[error.function] = _lines(sources[error.function])
        of_function = lines.get(error.function, [])
        if 1 <= error.line <= len(of_function):
            found.append(replace(error, source=_with_caret(of_function[error.line - 1], error.column)))
        else:
            found.append(error)
    return found


def _with_caret(line: str, column: int) -> str:
    place = min(max(column - 1, 0), len(line))
    indent = len(line) - len(line.lstrip())
    start = min(indent, place)
    if place - start > WIDTH_MAX * 3 // 4:
        start = place - WIDTH_MAX // 2
    shown = line[start : start + WIDTH_MAX].rstrip()
    # Tabs stay tabs, so that the caret is where they put it.
    padding = "".join("\t" if character == "\t" else " " for character in line[start:place])
    return f"{shown}\n{padding}^"


def _lines(code: str) -> list[str]:
    """Lines as Python counts them, which is not as `str.splitlines` does."""
    return code.replace("\r\n", "\n").replace("\r", "\n").split("\n")
