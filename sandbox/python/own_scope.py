"""Questions about the body's own scope: what its nested functions and classes do does not count."""

import ast
from collections.abc import Iterator
from typing import Any

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def returns(tree: ast.Module) -> bool:
    """Is there a `return` in the body itself?"""
    return any(isinstance(node, ast.Return) for node in _walk(tree))


def binds(tree: ast.Module, name: str) -> bool:
    """Does the body itself give this name a value, in any of the ways Python has, as its own local name?"""
    found = False
    for node in _walk(tree):
        if isinstance(node, ast.Global) and name in node.names:
            return False
        found = found or name in _bound_by(node)
    return found


def _walk(tree: ast.Module) -> Iterator[ast.AST]:
    # What defines a nested scope is part of this one; its contents are not.
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        yield node
        if isinstance(node, _SCOPES):
            outer = [*getattr(node, "decorator_list", []), *getattr(node, "bases", [])]
            arguments = getattr(node, "args", None)
            if isinstance(arguments, ast.arguments):
                outer += [*arguments.defaults, *(default for default in arguments.kw_defaults if default)]
            pending.extend(outer)
        elif isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp):
            # Of a comprehension, only `:=` binds outside of it.
            pending.extend(inner for inner in ast.walk(node) if isinstance(inner, ast.NamedExpr))
        elif isinstance(node, ast.AnnAssign) and node.value is None:
            pending.append(node.annotation)  # `name: type` alone gives no value
        else:
            pending.extend(ast.iter_child_nodes(node))


def _bound_by(node: Any) -> tuple[str | None, ...]:
    match node:
        case ast.Name(id=name, ctx=ast.Store()):
            return (name,)
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return (name,)
        case ast.ExceptHandler(name=name) | ast.MatchAs(name=name) | ast.MatchStar(name=name):
            return (name,)
        case ast.MatchMapping(rest=rest):
            return (rest,)
        case ast.alias(name=name, asname=asname):
            return (asname or name.partition(".")[0],)
    return ()
