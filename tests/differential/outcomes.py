"""What a program did, in the form in which two interpreters are compared."""

import re
from dataclasses import dataclass
from typing import Any, Final

BATCH: Final = 25
"""So many functions a workspace has."""
WORKSPACE: Final = "alike"
_ADDRESS: Final = re.compile(r"0x[0-9a-f]{6,}")


def name_of(number: int) -> str:
    """What a program is called: its number within its batch."""
    return f"p{number % BATCH}"


@dataclass(frozen=True)
class Outcome:
    """What came back or what was raised, where, through which calls, and what was printed on the way."""

    result: str | None
    error: str | None = None
    """Type and message."""
    line: int = 0
    frames: tuple[tuple[int, str], ...] = ()
    """Lines and names of the calls in the traceback, the exceptions it came from included."""
    printed: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        return "returned" if self.error is None else self.error.partition(":")[0]


_WORDS: Final = (
    (re.compile(r"the attribute '(\w+)' of '(\w+)' objects is internal to their library: use a public one"),
     r"'\2' object has no attribute '\1'"),
)  # fmt: skip
"""What Skep says on purpose, and what Python says there."""


def _plain(text: str) -> str:
    """A text without the addresses of objects, which are nobody's to compare, and in Python's own words."""
    for pattern, words in _WORDS:
        text = pattern.sub(words, text)
    return _ADDRESS.sub("0x", text)


def outcome(
    *, result: Any = None, error: str | None = None, line: int = 0, frames: Any = (), printed: Any = ()
) -> Outcome:
    """An outcome without the addresses of objects, which are nobody's to compare."""
    return Outcome(
        None if result is None else _plain(str(result)),
        None if error is None else _plain(error).strip(),
        line,
        tuple((number, within) for number, within in frames),
        tuple(_plain(text) for text in printed),
    )


def told(found: Outcome) -> str:
    """An outcome for a person to read."""
    printed = "".join(f"\n    | {text}" for text in found.printed)
    if found.error is None:
        return f"returned {found.result}{printed}"
    calls = " > ".join(f"{line} {within}".strip() for line, within in found.frames)
    return f"raised {found.error}\n    line {found.line}, calls {calls}{printed}"
