"""What the language's guards stand in for, and rarer features: snippets with room for expressions."""

import re
from pathlib import Path
from typing import Final

from tests.differential import containers, expressions, texts
from tests.differential.writer import Writer

FEATURES: Final = Path(__file__).with_name("features.txt").read_text().split("===\n")[1:]
_ROOM: Final = re.compile(r"\\@|[#@$&]")


def feature(w: Writer) -> None:
    """A few lines of something rarer, mostly within a `try` that tells what it raised."""
    template = w.choices.pick(FEATURES)
    if not w.place.is_async and ("await " in template or "async " in template):
        return
    objects = w.of("obj")

    def filled(room: re.Match[str]) -> str:
        match room[0]:
            case "#":
                return f"({expressions.number(w, 2)})"
            case "@":
                return containers.items(w, 2)
            case "$":
                return f"({texts.text(w, expressions.DEEPEST)})"
            case "&":
                return objects[0].text if objects else "(7)"
            case _:
                return "@"

    with w.restricted(walrus=False, is_async=False):
        lines = _ROOM.sub(filled, template).splitlines()
    if w.choices.chance(10):
        _write(w, lines)
        return
    with w.block("try:"):
        _write(w, lines)
    with w.block("except Exception as error:"):
        w.line("print(type(error).__name__, error)")


def _write(w: Writer, lines: list[str]) -> None:
    for line in lines:
        w.line(line)
