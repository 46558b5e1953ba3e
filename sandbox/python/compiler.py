"""From the body of a function, as its author wrote it, to a code object that defines an async function.

The body is parsed on its own and its *tree* is wrapped, never its text: multi-line strings survive, and every line and
column is the author's. Nothing here runs tenant code.

How the result is used:

    namespace = {"__builtins__": make_builtins(...), "__name__": ..., "cache": ..., ...}
    exec(compile_body("hello", "return name", ["name"]), namespace)
    body = namespace.pop(BODY)
    result = await body({"name": "Ada"}, "Ada")     # the whole mapping, then each of `named_parameters`
"""

import ast
import keyword
import sys
import unicodedata
import warnings
from collections.abc import Collection, Sequence
from functools import lru_cache
from types import CodeType
from typing import Final

from sandbox.protocol import CodeError
from sandbox.python.future import accept_future
from sandbox.python.module_tables import offered_modules
from sandbox.python.names import FILENAME_PREFIX, HOOK_PREFIX
from sandbox.python.own_scope import binds, returns
from sandbox.python.policy import Finding, Policy

INLINE: Final = "<inline>"
"""The name that stands for a function in a body that was not stored."""

BODY: Final = f"{HOOK_PREFIX}body__"
"""The name under which the compiled module leaves the function. Take it out: `namespace.pop(BODY)`."""

_HIDDEN_PARAMETERS: Final = f"{HOOK_PREFIX}parameters__"
_ERRORS_MAX: Final = 100
_DEPTH_MAX: Final = 1000
"""Nesting of the tree. Ordinary code stays below 100; a sum of a thousand terms is this deep."""
_FRAMES_A_LEVEL: Final = 6


class CodeRefused(Exception):
    """A body that is no Python, or not of the Python that is offered, with everything that is wrong with it."""

    def __init__(self, errors: list[CodeError]) -> None:
        super().__init__(
            "; ".join(f"{error.function}:{error.line}:{error.column}: {error.message}" for error in errors)
        )
        self.errors = errors


def filename_of(function: str) -> str:
    """The filename that frames of this function have."""
    return f"{FILENAME_PREFIX}{function}>"


def named_parameters(parameters: Sequence[str]) -> tuple[str, ...]:
    """The declared parameters that are names in the body's scope, in order; others are only in the whole mapping.

    Python reads names in their NFKC form, so a name that is not in it could never be read.
    """
    return tuple(
        name
        for name in parameters
        if name.isidentifier()
        and not keyword.iskeyword(name)
        and not name.startswith("__")
        and (name.isascii() or unicodedata.normalize("NFKC", name) == name)
    )


def compile_body(
    name: str,
    code: str,
    parameters: Sequence[str],
    *,
    modules: Collection[str] | None = None,
    siblings: Collection[str] = (),
) -> CodeType:
    """A module that, executed in a workspace's namespace, leaves the body's coroutine function there as `BODY`.

    Its first positional argument is the mapping of all parameters, the others are `named_parameters(parameters)`.
    `modules` are those that may be imported (None leaves that to run time); `siblings` are names that no `global`
    may rebind. Raises: CodeRefused.
    """
    if "\0" in code:
        before = _lines(code.partition("\0")[0])
        raise CodeRefused([CodeError(name, len(before), len(before[-1]) + 1, "the code has a null character in it")])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of no use to anybody here, and errors if the process has them so
            compiled = _compile(name, code, parameters, _offered(modules), siblings)
    except SyntaxError as error:
        raise CodeRefused([_from_syntax_error(name, error)]) from None
    except RecursionError:
        raise CodeRefused([CodeError(name, 1, 1, "the code is nested too deeply: split it up")]) from None
    except MemoryError:
        # The parser says this of nesting too, when its own stack is full.
        message = "the code is too large or nested too deeply: split it up, and pass data as parameters"
        raise CodeRefused([CodeError(name, 1, 1, message)]) from None
    except UnicodeEncodeError as error:
        line = len(_lines(code[: error.start]))
        message = "the code has half of a surrogate pair in it, which is no character"
        raise CodeRefused([CodeError(name, line, 1, message)]) from None
    except (ValueError, OverflowError) as error:
        raise CodeRefused([CodeError(name, 1, 1, f"the code cannot be read: {error}")]) from None
    # The only name the module itself uses is the one that the function is bound to.
    return compiled.replace(co_names=(BODY,))


@lru_cache(maxsize=8)
def _expanded(modules: frozenset[str]) -> frozenset[str]:
    return frozenset(offered_modules(modules))


def _offered(modules: Collection[str] | None) -> frozenset[str] | None:
    return None if modules is None else _expanded(frozenset(modules))


def _compile(
    name: str, code: str, parameters: Sequence[str], modules: frozenset[str] | None, siblings: Collection[str]
) -> CodeType:
    tree = ast.parse(code, filename_of(name))
    with _RecursionRoom(_depth(tree)):
        accept_future(tree)
        _apply_policy(name, code, tree, modules, siblings)
        module = _wrapped(name, tree, parameters)
        compiled: CodeType = compile(module, filename_of(name), "exec", dont_inherit=True)
        return compiled


def _wrapped(name: str, tree: ast.Module, parameters: Sequence[str]) -> ast.Module:
    named = named_parameters(parameters)
    whole = _HIDDEN_PARAMETERS if "parameters" in named else "parameters"
    # Parsed, because the fields that a definition needs differ between versions of Python.
    module = ast.parse("async def body(): pass")
    function = module.body[0]
    assert isinstance(function, ast.AsyncFunctionDef)  # noqa: S101 - for the type checker; the line above says so
    function.name = name
    function.args.args = [ast.arg(arg=argument) for argument in (whole, *named)]
    if tree.body:
        function.body = tree.body
    if not returns(tree) and binds(tree, "result"):
        first, last = tree.body[0], tree.body[-1]
        result = ast.Return(value=ast.Name(id="result", ctx=ast.Load()))
        function.body = [*tree.body, ast.copy_location(result, last)]
        if "result" not in named:  # a parameter of this name has a value already
            nothing = ast.Assign(targets=[ast.Name(id="result", ctx=ast.Store())], value=ast.Constant(value=None))
            function.body.insert(0, ast.copy_location(nothing, first))
    return ast.fix_missing_locations(module)


def _apply_policy(
    name: str, code: str, tree: ast.Module, modules: frozenset[str] | None, siblings: Collection[str]
) -> None:
    policy = Policy(modules=modules, siblings=siblings)
    policy.visit(tree)
    if not policy.findings:
        return
    lines = _lines(code)
    findings = sorted(set(policy.findings), key=lambda finding: (finding.line, finding.column_bytes))
    errors = [_from_finding(name, finding, lines) for finding in findings[:_ERRORS_MAX]]
    raise CodeRefused(errors)


def _from_finding(name: str, finding: Finding, lines: list[str]) -> CodeError:
    column = finding.column_bytes
    if finding.line <= len(lines):
        column = len(lines[finding.line - 1].encode()[:column].decode(errors="replace"))
    return CodeError(name, finding.line, column + 1, finding.message)


def _from_syntax_error(name: str, error: SyntaxError) -> CodeError:
    message = error.msg or "invalid syntax"
    if "set_int_max_str_digits" in message:
        # Python's own words name a function that is not offered.
        message = f"a number has more than {sys.get_int_max_str_digits()} digits: write it in hexadecimal"
    return CodeError(name, max(error.lineno or 1, 1), max(error.offset or 1, 1), message)


def _lines(code: str) -> list[str]:
    """Lines as Python counts them, which is not as `str.splitlines` does."""
    return code.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _depth(tree: ast.AST) -> int:
    """How deeply the tree is nested. Raises: RecursionError above `_DEPTH_MAX`."""
    deepest = 0
    pending: list[tuple[ast.AST, int]] = [(tree, 1)]
    while pending:
        node, depth = pending.pop()
        deepest = max(deepest, depth)
        if depth > _DEPTH_MAX:
            raise RecursionError
        pending.extend((child, depth + 1) for child in ast.iter_child_nodes(node))
    return deepest


class _RecursionRoom:
    """Room for visiting a tree of this depth, so that depth is limited by `_DEPTH_MAX` and by nothing else."""

    def __init__(self, depth: int) -> None:
        self._limit = sys.getrecursionlimit()
        self._depth = depth

    def __enter__(self) -> None:
        sys.setrecursionlimit(self._limit + self._depth * _FRAMES_A_LEVEL)

    def __exit__(self, *_: object) -> None:
        sys.setrecursionlimit(self._limit)
