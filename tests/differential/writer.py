"""What a program under construction knows: its lines, its names, what runs how often, and what may stand where."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from tests.differential.choices import Choices

COST_MAX: Final = 3000
"""So many statements a program may execute, roughly: what would take it beyond that is not written."""
DEPTH_MAX: Final = 3


@dataclass(frozen=True)
class Name:
    """A name in scope: what kind of value it has, and whether this function may bind it again."""

    text: str
    kind: str
    own: bool = True
    cost: int = 1
    """Of calling it once."""
    parts: tuple[str, ...] = ()
    """Of an object: the integer attributes and methods it has."""


@dataclass
class Place:
    """What may stand at one place of the program."""

    is_async: bool = True
    loop: bool = False
    """`break` and `continue` are allowed."""
    returns: str | None = "any"
    """The kind that this function returns; None where no `return` may stand."""
    walrus: bool = True
    depth: int = 0
    times: int = 1
    """How often this place is executed when the function is called once."""
    in_class: bool = False
    calls: bool = True


@dataclass
class Writer:
    """Writes one program."""

    choices: Choices
    lines_max: int
    lines: list[str] = field(default_factory=list)
    names: list[Name] = field(default_factory=list)
    place: Place = field(default_factory=Place)
    cost: int = 0
    modules: dict[str, str] = field(default_factory=dict)
    _indent: int = 0
    _count: int = 0

    def line(self, text: str) -> None:
        self.cost += self.place.times
        self.lines.append("    " * self._indent + text)

    def fresh(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}{self._count}"

    def bind(self, text: str, kind: str, *, cost: int = 1, parts: tuple[str, ...] = ()) -> None:
        self.names = [name for name in self.names if name.text != text]
        self.names.append(Name(text, kind, cost=cost, parts=parts))

    def forget(self, text: str) -> None:
        self.names = [name for name in self.names if name.text != text]

    def of(self, *kinds: str, own: bool = False) -> list[Name]:
        """The names of these kinds, the latest first."""
        return [name for name in reversed(self.names) if name.kind in kinds and (name.own or not own)]

    def callable_now(self, *kinds: str) -> list[Name]:
        """The functions of these kinds that can still be afforded here."""
        if not self.place.calls:
            return []
        return [name for name in self.of(*kinds) if self.cost + name.cost * self.place.times <= COST_MAX]

    def called(self, name: Name) -> None:
        self.cost += name.cost * self.place.times

    @property
    def full(self) -> bool:
        return len(self.lines) >= self.lines_max or self.cost >= COST_MAX

    @contextmanager
    def block(self, head: str, *, times: int = 1, keep: bool = False, **place: bool) -> Iterator[None]:
        """An indented block; names bound in it are forgotten after it, unless it surely runs."""
        self.line(head)
        names, before, lines = self.names, self.place, len(self.lines)
        self.names = list(names)
        self.place = replace(before, depth=before.depth + 1, times=before.times * times, **place)  # type: ignore[arg-type]  # flags of the place
        self._indent += 1
        yield
        if len(self.lines) == lines:
            self.line("pass")
        self._indent -= 1
        self.place = before
        if not keep and not self.choices.rarely():
            self.names = names

    @contextmanager
    def function(self, head: str, *, returns: str | None, is_async: bool = False) -> Iterator[list[int]]:
        """The body of a function; what stands in the list afterwards is what one call costs."""
        self.line(head)
        names, before, cost, lines = self.names, self.place, self.cost, len(self.lines)
        self.names = [replace(name, own=False) for name in names]
        self.place = Place(is_async=is_async, returns=returns, depth=before.depth + 1)
        self.cost = 0
        self._indent += 1
        costs: list[int] = []
        yield costs
        if len(self.lines) == lines:
            self.line("pass")
        costs.append(self.cost + 1)
        self._indent -= 1
        self.names, self.place, self.cost = names, before, cost

    @contextmanager
    def restricted(self, **place: bool) -> Iterator[None]:
        """Expressions in which less may stand: no walrus in a comprehension, no `await` in a lambda."""
        before = self.place
        self.place = replace(before, **place)  # type: ignore[arg-type]  # flags of the place
        yield
        self.place = before
