"""Makes a program smaller as long as it still differs, by leaving out statements and simplifying expressions."""

import ast
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final

from tests.differential.outcomes import BATCH
from tests.differential.programs import is_valid

ELAPSED_MAX_S: Final = 15.0
_BLOCKS: Final = ("body", "orelse", "finalbody", "handlers", "cases")

Differing = Callable[[Sequence[str]], Awaitable[list[bool]]]
"""Which of these programs differ."""


async def shrunk(program: str, differing: Differing) -> str:
    """The smallest program found from this one that differs."""
    until = time.monotonic() + ELAPSED_MAX_S
    while (smaller := await _next(program, differing, until=until)) is not None:
        program = smaller
    return program


async def _next(program: str, differing: Differing, *, until: float) -> str | None:
    candidates = sorted({text for text in _smaller(program) if len(text) < len(program) and is_valid(text)}, key=len)
    for start in range(0, len(candidates), BATCH):
        if time.monotonic() > until:
            break
        batch = candidates[start : start + BATCH]
        for text, differs in zip(batch, await differing(batch), strict=True):
            if differs:
                return text
    return None


def _smaller(program: str) -> Iterator[str]:
    """Programs with one thing less: half a block, a statement, the head of one, or a value."""
    count = sum(1 for _ in ast.walk(ast.parse(program)))
    for index in range(count):
        for change in _CHANGES:
            number, again = 0, True
            while again:
                tree = ast.parse(program)
                again = change(list(ast.walk(tree))[index], number)
                number += 1
                if again:
                    yield ast.unparse(ast.fix_missing_locations(tree)) + "\n"


def _halve(node: ast.AST, number: int) -> bool:
    body = getattr(node, "body", None)
    if number > 1 or not isinstance(body, list) or len(body) < 4:
        return False
    half = len(body) // 2
    body[:] = body[half:] if number else body[:half]
    return True


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
_CHANGES: Final = (_halve, _drop, _unwrap, _simplify)
