"""Compiles bodies as a worker does and runs them, for the tests of the language."""

import ast
import asyncio
import re
import textwrap
from pathlib import Path
from typing import Any

from sandbox.python.builtins import make_builtins
from sandbox.python.compiler import BODY, CodeRefused, compile_body, named_parameters
from sandbox.python.modules import DEFAULT_MODULES, Modules, preload

preload(DEFAULT_MODULES)


class Expired(BaseException):
    """What ends an expired run in these tests."""


def never() -> None:
    """The check of a run that has all the time in the world."""


def make_namespace(printed: list[str] | None = None, *, check: Any = never, **names: Any) -> dict[str, Any]:
    """A namespace as a worker makes it."""

    def print_(*values: object, **_options: object) -> None:
        if printed is not None:
            printed.append(" ".join(map(str, values)))

    return {
        "__builtins__": make_builtins(
            print_=print_, importer=Modules(DEFAULT_MODULES).importer, stop=Expired, check=check, expired=(check,)
        ),
        "__name__": "workspace tests",
        "cache": {},
        **names,
    }


def load(code: str, namespace: dict[str, Any], *, name: str = "hello", parameters: list[str] | None = None) -> Any:
    """The raw body of a function."""
    compiled = compile_body(name, code, parameters or [], modules=DEFAULT_MODULES)
    exec(compiled, namespace)
    return namespace.pop(BODY)


def run(code: str, /, namespace: dict[str, Any] | None = None, **parameters: Any) -> Any:
    """Run a body, dedented, with these parameters."""
    body = load(textwrap.dedent(code), namespace or make_namespace(), parameters=list(parameters))
    named = named_parameters(list(parameters))
    return asyncio.run(body(parameters, *(parameters[name] for name in named)))


def refusal(code: str, **options: Any) -> list[tuple[int, int, str]]:
    """What a body is refused for: lines, columns and messages."""
    try:
        compile_body("hello", code, [], modules=DEFAULT_MODULES, **options)
    except CodeRefused as refused:
        return [(error.line, error.column, error.message) for error in refused.errors if error.function == "hello"]
    return []


def cases(table: str) -> dict[str, tuple[str, Any]]:
    """A table of bodies in `cases/`: a name after `===`, the body, and after `---` what it returns, as a literal."""
    text = (Path(__file__).parent / "cases" / f"{table}.txt").read_text()
    found = {}
    for name, body in re.findall(r"^=== (.+)\n((?:(?!===).*\n)*)", text, re.MULTILINE):
        code, _, expected = body.strip("\n").partition("\n--- ")
        assert name not in found, f"there are two cases called {name!r}"
        found[name] = (code, ast.literal_eval(expected) if expected else None)
    return found
