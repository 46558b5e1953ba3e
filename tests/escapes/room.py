"""The known ways out of the language: read from `programs/`, run, and judged by whether they got where they wanted to.

A program that returns anything but None has reached its goal. Whatever it raises, and None, means that it has not.
"""

import ast
import asyncio
import builtins
import re
import sys
import textwrap
import types
import warnings
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

REFUSED: Final = "refused when compiled"
NOTHING: Final = "nothing"
REACHED: Final = "reached"


@dataclass(frozen=True)
class Escape:
    """One program of `programs/`; see the README there."""

    identifier: str
    family: str
    code: str
    must: str
    """`refuse`, or the exception that must be raised: `raise TypeError`."""
    only_here: bool
    """Its goal exists in this sandbox only, so it cannot be tried where there is none."""
    in_process: bool
    """It wants `leaked` or `expire`, which a worker does not give."""


def read_escapes() -> dict[str, Escape]:
    """All programs by identifier."""
    found: dict[str, Escape] = {}
    for path in sorted((Path(__file__).parent / "programs").glob("*.txt")):
        for identifier, body in re.findall(r"^=== (.+)\n((?:(?!===).*\n?)*)", path.read_text(), re.MULTILINE):
            assert identifier not in found, f"there are two programs called {identifier!r}"
            must = re.search(r"^# must: (.+)$", body, re.MULTILINE)
            found[identifier] = Escape(
                identifier,
                path.stem,
                body.strip("\n"),
                must.group(1) if must else "",
                "# only here" in body or _is_of_the_past(body),
                bool(re.search(r"\b(leaked|expire)\b", re.sub(r"^#.*", "", body, flags=re.MULTILINE))),
            )
    return found


def _is_of_the_past(body: str) -> bool:
    """Whether it worked in older versions of Python only, as `# natively until 3.11` says."""
    until = re.search(r"^# natively until 3\.(\d+)$", body, re.MULTILINE)
    return until is not None and sys.version_info[:2] > (3, int(until.group(1)))


class Expired(BaseException):
    """What ends an expired run here."""


class _Clock:
    """A run whose time is up when the program says so."""

    def __init__(self) -> None:
        self.is_up = False

    def expire(self) -> None:
        """The alarm that a worker's timer would be."""
        self.is_up = True
        raise Expired

    def check(self) -> None:
        if self.is_up:
            raise Expired


class _Thing:
    """An object of ours with every method that the language calls by itself."""

    __slots__ = ()


for _name in ("get", "set", "delete", "set_name", "getattr", "copy", "deepcopy", "replace"):
    setattr(_Thing, f"__{_name}__", lambda _self, *_arguments: None)


def leaked() -> types.SimpleNamespace:
    """What no program gets: some guards are there in case another has failed, and are tried with these."""

    def function() -> None:
        """Nothing."""

    frame = sys._getframe()
    try:
        raise ValueError  # noqa: TRY301 - for its traceback
    except ValueError as error:
        traceback = error.__traceback__
    return types.SimpleNamespace(
        frame=frame,
        code=function.__code__,
        function=function,
        traceback=traceback,
        thing=_Thing(),
        type=type,
        alias=types.GenericAlias,
        ref=weakref.ref,
    )


def run_escape(escape: Escape) -> str:
    """Run it in this process, as a worker would: what it raised, `REFUSED`, `NOTHING` or `REACHED`."""
    from sandbox.python import ownership  # noqa: PLC0415 - the guards' originals are taken before anything is loaded
    from sandbox.python.builtins import make_builtins  # noqa: PLC0415 - same
    from sandbox.python.compiler import BODY, CodeRefused, compile_body  # noqa: PLC0415 - same
    from sandbox.python.modules import DEFAULT_MODULES, Modules  # noqa: PLC0415 - same
    from sandbox.scope import Log  # noqa: PLC0415 - same

    offered_by_an_operator: set[type] = {types.GenericAlias, weakref.ref, type} if escape.in_process else set()
    known = set(ownership._offered)
    for cls in offered_by_an_operator:
        ownership.offer(cls)
    clock = _Clock()
    namespace: dict[str, Any] = {
        "__builtins__": make_builtins(
            print_=lambda *_values, **_options: None,
            importer=Modules(DEFAULT_MODULES).importer,
            stop=Expired,
            check=clock.check,
            expired=(clock,),
        ),
        "__name__": "workspace tests",
        "cache": {},
        "log": Log(),
        "leaked": leaked(),
        "expire": clock.expire,
    }
    try:
        exec(compile_body("hello", escape.code, [], modules=DEFAULT_MODULES, siblings=("sibling",)), namespace)
        return _judged(namespace.pop(BODY), {})
    except CodeRefused:
        return REFUSED
    finally:
        ownership._offered.difference_update(offered_by_an_operator - known)


def run_natively(escape: Escape) -> str:
    """Run it in this process as ordinary Python, with no sandbox at all."""
    code = f"async def hello(parameters):\n{textwrap.indent(escape.code, '    ')}"
    clock = _Clock()
    namespace: dict[str, Any] = {"cache": {}, "leaked": leaked(), "expire": clock.expire, "__builtins__": builtins}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(ast.parse(code), "<native>", "exec"), namespace)
    return _judged(namespace["hello"], {})


def _judged(body: Callable[[dict[str, Any]], Any], parameters: dict[str, Any]) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # programs leave coroutines behind
        try:
            value = asyncio.run(body(parameters))
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is no goal
            return type(error).__name__
    return NOTHING if value is None else REACHED
