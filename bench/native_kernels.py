"""The floor of `kernels`: the same bodies as ordinary async functions of a plain Python, on a plain asyncio loop.

`python -m bench.native_kernels` takes names of kernels on its standard input, a line each, and answers each with a line
of JSON: the seconds it took and its result.
"""

import ast
import asyncio
import gc
import json
import sys
from collections.abc import Mapping
from types import CodeType
from typing import Any, Final

from bench.kernel_functions import Function, read_functions, timed
from sandbox.jail.lockdown import Cell, Plan, yield_to_others

_NOT_JAILED: Final = Cell(
    plan=Plan(null_fd=-1, identities=None, ruleset_fd=None, system_calls=None, has_init=False),
    zygote_pid=0,
    number=0,
    connection_fd=-1,
    address_space_max_bytes=0,
)


def define(functions: Mapping[str, Function]) -> dict[str, Any]:
    """A namespace in which these functions call each other, compiled without any rules."""
    namespace: dict[str, Any] = {"__name__": "kernels"}
    for name, function in functions.items():
        exec(_compile(name, function), namespace)
    return namespace


def _compile(name: str, function: Function) -> CodeType:
    # The tree is wrapped and not the text, which would indent the lines of a long string.
    module = ast.parse(f"async def {name}({', '.join(function.parameters)}): pass")
    definition = module.body[0]
    assert isinstance(definition, ast.AsyncFunctionDef)
    definition.body = ast.parse(function.code).body
    compiled: CodeType = compile(module, f"<{name}>", "exec", dont_inherit=True)
    return compiled


async def serve() -> None:
    """Answer until the input ends."""
    namespace = define(read_functions())
    for line in iter(sys.stdin.readline, ""):
        print(json.dumps(await namespace[timed(line.strip())]()), flush=True)


if __name__ == "__main__":
    # As in a worker: the same niceness, and a collector that does not look at what was there before.
    yield_to_others(_NOT_JAILED)
    gc.collect()
    gc.freeze()
    asyncio.run(serve())
