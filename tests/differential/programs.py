"""Programs: what hypothesis draws, as the body of a function."""

import warnings
from functools import partial
from typing import Final

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.differential import expressions, statements
from tests.differential.choices import Choices
from tests.differential.native import compiled
from tests.differential.writer import Writer

CHOICES: Final = 900
"""So many choices a program has; after that the simplest is taken."""
STATEMENTS: Final = 9
LINES: Final = 70


def program_of(data: bytes, *, lines: int = LINES) -> str:
    """The program that these choices make, of about so many lines at most."""
    w = Writer(Choices(data), lines)
    w.line("import asyncio")
    w.bind("asyncio", "asyncio")
    for _ in range(3):
        statements.assign(w)
    for _ in range(3 + w.choices.below(STATEMENTS)):
        if not w.full:
            statements.statement(w)
    shown = ", ".join(name.text for name in w.of("int", "text", "items", "table", "obj", own=True)[:6])
    w.line(f"return repr([{shown}, {expressions.number(w, 2)}])")
    return "\n".join(w.lines) + "\n"


def programs(*, lines: int = LINES) -> st.SearchStrategy[str]:
    return st.binary(min_size=CHOICES, max_size=CHOICES).map(partial(program_of, lines=lines))


def generated(count: int, *, number: int, lines: int = LINES) -> list[str]:
    """So many programs; the same for the same number, on the same Python."""
    found: list[str] = []

    @seed(number)
    @settings(
        max_examples=count, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(programs(lines=lines))
    def collect(program: str) -> None:
        found.append(program)

    collect()
    return found


def is_valid(program: str) -> bool:
    """Does Python itself take this program as the body of an async function?"""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compiled("program", program)
        except SyntaxError:
            return False
    return True
