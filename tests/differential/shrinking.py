"""Makes a program smaller as long as it still differs, by leaving out statements and simplifying expressions."""

import ast
import contextlib
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final

from tests.differential.outcomes import BATCH
from tests.differential.programs import is_valid

ELAPSED_MAX_S: Final = 30.0
_BLOCKS: Final = ("body", "orelse", "finalbody", "handlers", "cases")

Change = Callable[[ast.AST, int], bool]
"""Takes the thing of this number out of a node; was there one?"""
Differing = Callable[[Sequence[str]], Awaitable[list[bool]]]
"""Which of these programs differ."""


async def shrunk(program: str, differing: Differing) -> str:
    """The smallest program found from this one that differs, in the time there is."""
    until = time.monotonic() + ELAPSED_MAX_S
    found: str | None = program
    while found is not None:
        program, found = found, None
        # What takes most away is tried first, and again after every success.
        for changes in _STAGES:
            found = found or await _next(program, changes, differing, until=until)
    return program


async def _next(program: str, changes: Sequence["Change"], differing: Differing, *, until: float) -> str | None:
    smaller = {text for text in _changed(program, changes) if len(text) < len(program)}
    candidates = sorted(smaller, key=len)
    for start in range(0, len(candidates), BATCH):
        if time.monotonic() > until:
            break
        batch = [text for text in candidates[start : start + BATCH] if is_valid(text)]
        for text, differs in zip(batch, await differing(batch), strict=True):
            if differs:
                return text
    return None


def _changed(program: str, changes: Sequence["Change"]) -> Iterator[str]:
    """Programs with one thing less."""
    count = sum(1 for _ in ast.walk(ast.parse(program)))
    for change in changes:
        for index in range(1 if change is _cut else count):
            number, again = 0, True
            while again:
                tree = ast.parse(program)
                again = change(next(itertools.islice(ast.walk(tree), index, None)), number)
                number += 1
                # Some strings cannot be written again before Python 3.12.
                with contextlib.suppress(ValueError):
                    yield ast.unparse(ast.fix_missing_locations(tree)) + "\n"


def _cut(tree: ast.AST, number: int) -> bool:
    """Cut a run of statements out of the body: halves, then quarters, down to one."""
    body = getattr(tree, "body", [])
    size = len(body) // 2
    while size:
        runs = -(-len(body) // size)
        if number < runs and runs > 1:
            del body[number * size : (number + 1) * size]
            return True
        number -= runs
        size //= 2
    return False


def _drop(node: ast.AST, number: int) -> bool:
    """Leave out the statement, handler or case of this number."""
    for name in _BLOCKS:
        block = getattr(node, name, None)
        if isinstance(block, list):
            if number < len(block):
                del block[number]
                if name == "body" and not block:
                    block.append(ast.Pass())
                return True
            number -= len(block)
    return False


def _unwrap(node: ast.AST, number: int) -> bool:
    """Put the blocks of the statement of this number in its place."""
    body = getattr(node, "body", None)
    if not isinstance(body, list) or number >= len(body):
        return False
    inner = getattr(body[number], "body", None)
    if isinstance(inner, list) and not isinstance(body[number], _NAMED):
        body[number : number + 1] = inner
    return True


def _simplify(node: ast.AST, number: int) -> bool:
    """Put a one in the place of an expression that is not simple."""
    for name, value in ast.iter_fields(node):
        values = value if isinstance(value, list) else [value]
        for index, each in enumerate(values):
            if name == "format_spec" or not isinstance(each, ast.expr) or isinstance(each, _SIMPLE):
                continue
            if number:
                number -= 1
                continue
            values[index] = ast.Constant(value=1)
            if values is not value:
                setattr(node, name, values[0])
            return True
    return False


_SIMPLE: Final = (ast.Constant, ast.Name, ast.Starred, ast.FormattedValue)
_NAMED: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_STAGES: Final[tuple[tuple[Change, ...], ...]] = ((_cut,), (_drop, _unwrap), (_simplify,))
