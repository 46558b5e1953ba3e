"""No way leads out of the language, and the walk would find one."""

import asyncio
import signal
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.aside import Aside, running_aside
from tests.walk.walker import Walker
from tests.walk.ways import end_long_calls

OBJECTS_MIN = 5000


@pytest.fixture(autouse=True)
def _long_calls_end() -> Iterator[None]:
    before = signal.getsignal(signal.SIGALRM)
    end_long_calls()
    yield
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module", autouse=True)
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aside]:
    """In a process of its own: the walk calls everything, and that leaves traces."""
    with running_aside("tests.walk", tmp_path_factory.mktemp("walk")) as walk:
        yield walk


class Attribute:
    way = sys


class Method:
    def open(self) -> object:
        return sys._getframe()


class Element:
    def __iter__(self) -> Any:
        return iter([Element.__iter__.__code__])


class Raises:
    def fail(self) -> None:
        error = ValueError()
        error.way = {"__builtins__": {}}  # type: ignore[attr-defined]
        raise error


class Passes:
    def each(self, call: Any) -> None:
        call(type)


class Awaited:
    async def open(self) -> object:
        return asyncio.get_running_loop()


class Deep:
    def first(self) -> list[object]:
        return [{"x": Attribute()}]


def _collect(seen: list[Any]) -> Any:
    def spy(*values: object) -> None:
        seen.extend(values)

    return spy


@pytest.mark.parametrize(
    ("planted", "way", "what"),
    [
        (Attribute(), ".way", "a module"),
        (Method(), ".open()", "a frame"),
        (Element(), "[0]", "a code object"),
        (Raises(), ".fail() raises.way", "the globals of a function"),
        (Passes(), ".each(spy) passes", "the class type"),
        (Awaited(), ".open()", "an event loop"),
        (Deep(), ".first()[0]['x'].way", "a module"),
        (object.__subclasses__, "", "the method object.__subclasses__"),
        (vars(sys), "", "the namespace of sys"),
        (open, "", "the builtin open"),
    ],
)
def test_a_way_that_is_there_is_found(planted: object, way: str, what: str) -> None:
    seen: list[Any] = []
    walker = Walker({"it": planted}, arguments={"spy": (_collect(seen),)}, seen=seen)
    walker.walk()
    assert walker.found.get(f"it{way}") == what, walker.found


def test_no_way_leads_from_what_tenants_can_name_to_what_runs_them(walk: Aside) -> None:
    said = walk.output()
    assert int(said.split()[0]) > OBJECTS_MIN, said
