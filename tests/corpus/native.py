"""Runs a program without Skep: its bodies as ordinary async functions, with plain stand-ins for the names in scope."""

import ast
import asyncio
import dataclasses
import json
import sys
import types
from collections.abc import Callable
from datetime import date, datetime
from datetime import time as time_of_day
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from tests.corpus.canned import Fetch
from tests.corpus.programs import Program, Seen, with_origin

ORIGIN = "http://api.test"


class _Log:
    """`log` and `print`, into a list."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []

    def __getattr__(self, level: str) -> Callable[..., None]:
        def write(message: object = "", /, **fields: object) -> None:
            self.entries.append({"level": level, "message": str(message), **fields})

        return write

    def print(self, *values: object, sep: str = " ", end: str = "\n", file: Any = None) -> None:
        if file is not None:
            print(*values, sep=sep, end=end, file=file)
            return
        self.info(f"{sep.join(map(str, values))}{end}".removesuffix("\n"))


def run_natively(program: Program) -> list[Seen]:
    """Make the calls of a program, in order."""
    # As a module, because the library looks up the module of a class by its name.
    module = types.ModuleType("tests.corpus.program")
    sys.modules[module.__name__] = module
    try:
        return asyncio.run(_run(program, vars(module)))
    finally:
        del sys.modules[module.__name__]


async def _run(program: Program, namespace: dict[str, Any]) -> list[Seen]:
    log = _Log()
    namespace |= {
        "cache": {},
        "log": log,
        "print": log.print,
        "env": with_origin(program.env, ORIGIN),
        "secrets": {},
        "fetch": Fetch(program, ORIGIN),
        "context": types.SimpleNamespace(workspace=program.name, run_id="native", remaining_ms=lambda: 20_000),
    }
    bodies = {name: _function(name, given, namespace) for name, given in program.functions.items()}
    namespace |= bodies
    seen = []
    for call in program.calls:
        log.entries = []
        namespace["context"].function = call.function
        try:
            value = await bodies[call.function](**with_origin(call.parameters, ORIGIN))
        except Exception as error:  # noqa: BLE001  # what a program raises is what it must come to
            said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            seen.append(Seen(said, None, log.entries))
        else:
            seen.append(Seen(None, as_json(value), log.entries))
    return seen


def _function(name: str, given: Any, namespace: dict[str, Any]) -> Callable[..., Any]:
    """What siblings call: parameters by position or name, defaults applied."""
    declared = given.get("parameters", {})
    tree = ast.parse(given["code"], f"<{name}>")
    if not any(isinstance(statement, ast.Return) for statement in tree.body):
        # Either it assigns `result`, or what it returns depends on something.
        assigns = any(isinstance(statement, ast.Assign) and _names_result(statement) for statement in tree.body)
        tree.body += [ast.Return(ast.Name("result", ast.Load()))] * assigns
    module = ast.parse(f"async def {name}(parameters, {', '.join(declared)}): pass")
    module.body[0].body = tree.body  # type: ignore[attr-defined]  # it is the function
    # A namespace of its own for the definition: a sibling is what the workspace has under its name.
    exec(compile(ast.fix_missing_locations(module), f"<{name}>", "exec"), namespace)
    body = namespace.pop(name)

    async def call(*args: Any, **named: Any) -> Any:
        given = dict(zip(declared, args, strict=False)) | named
        values = {name: given.get(name, schema.get("default")) for name, schema in declared.items()}
        return await body(values, **values)

    return call


def _names_result(statement: ast.Assign) -> bool:
    return any(isinstance(target, ast.Name) and target.id == "result" for target in statement.targets)


def as_json(value: Any) -> Any:
    """The JSON form that docs/functions.md promises for a result, by the json module."""
    return json.loads(json.dumps(_plain(value)))


def _plain(value: Any) -> Any:  # noqa: PLR0911  # a table of types, a line each
    match value:
        case Enum():
            return _plain(value.value)
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case set() | frozenset():
            return [_plain(item) for item in sorted(value)]
        case list() | tuple():
            return [_plain(item) for item in value]
        case datetime() | date() | time_of_day():
            return value.isoformat()
        case Decimal() | UUID():
            return str(value)
        case _ if dataclasses.is_dataclass(value):
            return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return value
