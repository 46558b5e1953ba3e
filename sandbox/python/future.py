"""`from __future__ import …` at the head of a body: pasted and generated code often begins with it."""

import ast
from typing import Final

_ALWAYS_SO: Final = frozenset(
    {"nested_scopes", "generators", "division", "absolute_import", "with_statement", "print_function"}
    | {"unicode_literals", "generator_stop"}
)
"""What is the future no more."""
_READ_BY_DATACLASSES: Final = frozenset({"ClassVar", "InitVar", "KW_ONLY"})
"""Annotations that decide what a field is. As text they would have to be looked up in a module, and there is none."""


def accept_future(tree: ast.Module) -> None:
    """Take such statements out of the head of a body and do what they ask for. Others stay, to be refused."""
    head = 1 if tree.body and _is_docstring(tree.body[0]) else 0
    annotations_are_text = False
    while len(tree.body) > head and (names := _asked_for(tree.body[head])) is not None:
        if not names <= _ALWAYS_SO | {"annotations"}:
            break
        annotations_are_text |= "annotations" in names
        del tree.body[head]
    if annotations_are_text:
        _Texts().visit(tree)


def _asked_for(statement: ast.stmt) -> set[str] | None:
    match statement:
        case ast.ImportFrom(module="__future__", level=0, names=names) if not any(name.asname for name in names):
            return {name.name for name in names}
    return None


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


class _Texts(ast.NodeVisitor):
    """Makes annotations their own text, as the interpreter does (PEP 563)."""

    def generic_visit(self, node: ast.AST) -> None:
        for field in ("annotation", "returns"):
            annotation = getattr(node, field, None)
            if isinstance(annotation, ast.expr) and not _is_read(annotation):
                setattr(node, field, ast.copy_location(ast.Constant(value=ast.unparse(annotation)), annotation))
        super().generic_visit(node)


def _is_read(annotation: ast.expr) -> bool:
    target = annotation.value if isinstance(annotation, ast.Subscript) else annotation
    name = target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", None)
    return name in _READ_BY_DATACLASSES
