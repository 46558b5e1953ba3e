"""The nodes that the policy puts into a tenant's tree: calls of guards, and what makes a deadline final.

A run that has expired is ended by raising `RunExpired` inside it, again and again, from a signal handler. Tenant code
must not be able to swallow that. It could in three ways, and each is closed where it would happen:

- a handler that catches everything: every `try` with handlers gets a first one that lets `RunExpired` pass, and every
  other handler begins with a check, because `finally: raise Other` or an `__exit__` can turn one exception into
  another;
- a `finally` that leaves by `return`, `break` or `continue`: there is a check before each of these;
- a context manager that says it dealt with the exception: there is a check after each `with`.

The new nodes carry the positions of the tenant's own, so no traceback and no error ever points at them.
"""

import ast
from enum import StrEnum
from typing import TypeVar

from sandbox.python.names import HOOK_PREFIX, NEVER_RECENT


class Hook(StrEnum):
    """Names that compiled code looks up among its builtins. No tenant can write them."""

    STOP = f"{HOOK_PREFIX}stop__"
    """The class of the exception that ends an expired run."""
    CHECK = f"{HOOK_PREFIX}check__"
    """Raises that exception if the current run has expired."""
    EXPIRED = f"{HOOK_PREFIX}expired__"
    """Empty as long as no run has expired, so that the check need not be called."""
    PRIVATE = f"{HOOK_PREFIX}private__"
    """(object, name) → the object, if its attributes with one leading underscore may be used."""
    TYPE = f"{HOOK_PREFIX}type__"
    """The real `type`, to be called with one argument."""
    RECENT = f"{HOOK_PREFIX}recent__"
    """The set of classes whose objects `PRIVATE` would give back, for nearly all names."""
    GUARDED = f"{HOOK_PREFIX}guarded__"
    """(object, name) → the safe form of an attribute that is replaced when it is read."""


N = TypeVar("N", bound=ast.AST)


def _placed(node: N, at: ast.AST) -> N:
    return ast.fix_missing_locations(ast.copy_location(node, at))


def hook_call(hook: Hook, value: ast.expr, name: str, *, at: ast.expr | None = None) -> ast.Call:
    """`hook(value, "name")`, at the position of the value unless told otherwise."""
    call = ast.Call(func=_hook(hook), args=[value, ast.Constant(value=name)], keywords=[])
    return _placed(call, at or value)


def private_owner(value: ast.expr, name: str) -> ast.expr:
    """`value`, if its attribute of this name may be used.

    Of a variable, the common case is decided without a call of ours:
    `value if type(value) in recent else private(value, "name")`. To read a variable three times changes nothing.
    """
    call = hook_call(Hook.PRIVATE, value, name)
    if not isinstance(value, ast.Name) or name in NEVER_RECENT:
        return call
    cls = ast.Call(func=_hook(Hook.TYPE), args=[value], keywords=[])
    is_recent = ast.Compare(left=cls, ops=[ast.In()], comparators=[_hook(Hook.RECENT)])
    return _placed(ast.IfExp(test=is_recent, body=value, orelse=call), value)


def _hook(hook: Hook) -> ast.Name:
    return ast.Name(id=hook.value, ctx=ast.Load())


def check_statement(node: ast.stmt, *, at_end: bool) -> ast.If:
    """A statement that raises if the run has expired, on the first or the last line of another one."""
    check = ast.Call(func=_hook(Hook.CHECK), args=[], keywords=[])
    statement = ast.If(test=_hook(Hook.EXPIRED), body=[ast.Expr(value=check)], orelse=[])
    if at_end and node.end_lineno is not None and node.end_col_offset is not None:
        statement.lineno = statement.end_lineno = node.end_lineno
        statement.col_offset = statement.end_col_offset = node.end_col_offset
        return ast.fix_missing_locations(statement)
    return _placed(statement, node)


def stop_handler(handler: ast.ExceptHandler) -> ast.ExceptHandler:
    """`except stop: raise`, to stand before a tenant's first handler."""
    return _placed(ast.ExceptHandler(type=_hook(Hook.STOP), name=None, body=[ast.Raise(exc=None, cause=None)]), handler)


def guard_exits(block: list[ast.stmt], *, in_loop: bool = False) -> list[ast.stmt]:
    """A `finally` block with a check before every statement that leaves it and would drop an exception by that.

    The exits of functions in it are not its own, nor is the `break` of a loop in it.
    """
    guarded: list[ast.stmt] = []
    for statement in block:
        if isinstance(statement, ast.Return) or (isinstance(statement, ast.Break | ast.Continue) and not in_loop):
            guarded.append(check_statement(statement, at_end=False))
        elif not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            _guard_inner_exits(statement, in_loop=in_loop)
        guarded.append(statement)
    return guarded


def _guard_inner_exits(statement: ast.stmt, *, in_loop: bool) -> None:
    loops = isinstance(statement, ast.For | ast.AsyncFor | ast.While)
    for name, value in ast.iter_fields(statement):
        if name in {"body", "orelse", "finalbody"}:
            # `break` in the `else` of a loop belongs to the loop around it.
            setattr(statement, name, guard_exits(value, in_loop=in_loop or (loops and name == "body")))
        elif name in {"handlers", "cases"}:
            for inner in value:
                inner.body = guard_exits(inner.body, in_loop=in_loop)
