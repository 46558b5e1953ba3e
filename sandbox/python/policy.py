"""The policy: what of Python a tenant may write, decided on the syntax tree.

A subclass of RestrictedPython's transformer that keeps its idea (visit every node, refuse what is not known) and leaves
out its run-time calls: where a name decides, the native instruction stays. Every kind of node is in exactly one of
the tables below, and a kind that is in none, from a Python to come, is refused.
"""

import ast
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final

from RestrictedPython.transformer import RestrictingNodeTransformer

from sandbox.python import class_rules, import_rules, names
from sandbox.python.builtins import NEVER_GLOBAL
from sandbox.python.names import Verdict
from sandbox.python.rewrites import Hook, check_statement, guard_exits, hook_call, private_owner, stop_handler
from sandbox.python.safe_format import find_refused_field
from sandbox.python.words import words

AS_IS: Final = frozenset(
    words("""
    Module Expr Return Delete AnnAssign For AsyncFor While If Raise Assert Pass Break Continue Match match_case
    MatchValue MatchSingleton MatchSequence MatchOr BoolOp NamedExpr BinOp UnaryOp IfExp Dict Set ListComp SetComp
    DictComp GeneratorExp comprehension Await Compare Call FormattedValue JoinedStr Constant Subscript Starred List
    Tuple Slice withitem arguments TypeAlias Load Store Del And Or Add Sub Mult MatMult Div Mod Pow LShift RShift
    BitOr BitXor BitAnd FloorDiv Invert Not UAdd USub Eq NotEq Lt LtE Gt GtE Is IsNot In NotIn
    """)
)
"""Nodes that are harmless in themselves; what they contain is visited."""

CHECKED: Final = {
    "FunctionDef": "_function",
    "AsyncFunctionDef": "_function",
    "Lambda": "_lambda",
    "ClassDef": "_class",
    "Assign": "_assign",
    "AugAssign": "_aug_assign",
    "With": "_with",
    "AsyncWith": "_with",
    "Try": "_try",
    "ExceptHandler": "_except_handler",
    "Import": "_import",
    "ImportFrom": "_import",
    "alias": "_alias",
    "Global": "_global",
    "Nonlocal": "_global",
    "Yield": "_yield",
    "YieldFrom": "_yield",
    "Attribute": "_attribute",
    "Name": "_name",
    "arg": "_arg",
    "keyword": "_arg",
    "MatchAs": "_named",
    "MatchStar": "_named",
    "MatchMapping": "_match_mapping",
    "MatchClass": "_match_class",
    "TypeVar": "_named",
    "ParamSpec": "_named",
    "TypeVarTuple": "_named",
}
"""Nodes that need a look, and the method of `Policy` that has it."""

REFUSED: Final = frozenset(words("TryStar Interactive Expression FunctionType TypeIgnore TemplateStr Interpolation"))
"""Nodes that are known and refused."""

_INSTEAD: Final = {
    "TryStar": "`except*` is not offered: use `except ExceptionGroup as group` and look at group.exceptions"
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong; `column_bytes` counts from 0 in UTF-8, as `ast` does."""

    line: int
    column_bytes: int
    message: str


class Policy(RestrictingNodeTransformer):
    """Checks and rewrites the tree of one body. What it found wrong is in `findings`, in no particular order."""

    def __init__(self, *, modules: Collection[str] | None = None, siblings: Collection[str] = ()) -> None:
        super().__init__()
        self.findings: list[Finding] = []
        self._modules = modules
        self._siblings = frozenset(siblings)
        # The kinds of the scopes around the current node, and the classes around it, innermost last.
        self._scopes = ["body"]
        self._classes: list[str] = []

    def error(self, node: ast.AST, info: str) -> None:
        """Note something that is wrong, where it is wrong."""
        self.findings.append(Finding(getattr(node, "lineno", 1), getattr(node, "col_offset", 0), info))

    def visit(self, node: ast.AST) -> Any:
        """Check a node and everything in it. A kind that no table has is refused."""
        kind = type(node).__name__
        if kind in AS_IS:
            return self.node_contents_visit(node)
        if kind in CHECKED:
            return getattr(self, CHECKED[kind])(node)
        self.error(node, _INSTEAD.get(kind, f"this syntax ({kind}) is not offered here"))
        return node

    def _visit_all(self, nodes: Iterable[ast.AST]) -> list[Any]:
        visited: list[Any] = []
        for node in nodes:
            result = self.visit(node)
            visited.extend(result if isinstance(result, list) else [result])
        return visited

    # Names, in every position that binds or reads one.

    def check_name(self, node: ast.AST, name: str | None, allow_magic_methods: bool = False) -> None:  # noqa: FBT001, FBT002 - the signature of the base class
        """Refuse names that are ours or Python's own. Inside a class, `__name` is the class's private name."""
        if name is None or not name.startswith("__"):
            return
        in_class = self._scopes[-1] == "class"
        if name in (names.DEFINABLE if in_class else names.LOCAL) and not isinstance(node, ast.Global):
            return
        if names.mangled(name, self._class_name()) != name:
            return
        if in_class and (allow_magic_methods or name == names.MATCH_ARGS):
            self.error(node, f"`{name}` cannot be defined in a class: {names.advice(name)}")
        else:
            self.error(node, f"the name `{name}` cannot be used: choose one that does not begin with two underscores")

    def _class_name(self) -> str | None:
        return self._classes[-1] if self._classes else None

    def _name(self, node: ast.Name) -> ast.AST:
        if node.id == "__name__" and isinstance(node.ctx, ast.Load):
            return node
        if node.id == "__class__":
            self.error(node, "the name `__class__` cannot be used: use type(self)")
            return node
        self.check_name(node, node.id)
        return node

    def _arg(self, node: ast.arg | ast.keyword) -> ast.AST:
        self.check_name(node, node.arg)
        return self.node_contents_visit(node)

    def _named(self, node: Any) -> ast.AST:
        self.check_name(node, node.name)
        contents: ast.AST = self.node_contents_visit(node)
        return contents

    def _match_mapping(self, node: ast.MatchMapping) -> ast.AST:
        self.check_name(node, node.rest)
        return self.node_contents_visit(node)

    def _match_class(self, node: ast.MatchClass) -> ast.AST:
        # A pattern reads its attributes natively, so nothing that needs a guard can be read there.
        for name in node.kwd_attrs:
            if names.reading(names.mangled(name, self._class_name())) is not Verdict.NATIVE:
                self.error(
                    node, f"a pattern cannot read the attribute `{name}`: bind the object and use it in the case"
                )
        return self.node_contents_visit(node)

    def _global(self, node: ast.Global | ast.Nonlocal) -> ast.AST:
        for name in node.names:
            self.check_name(node, name)
            if isinstance(node, ast.Nonlocal):
                continue
            if name in names.RESERVED or name in NEVER_GLOBAL or name in self._siblings:
                self.error(
                    node, f"`global {name}` would rebind it for other functions: use a name of your own, or cache"
                )
        return node

    # Attributes.

    def _attribute(self, node: ast.Attribute) -> ast.AST:
        name = names.mangled(node.attr, self._class_name())
        reads = isinstance(node.ctx, ast.Load)
        verdict = names.reading(name) if reads else names.writing(name)
        literal = node.value.value if isinstance(node.value, ast.Constant) else None
        self.node_contents_visit(node)
        match verdict:
            case Verdict.REFUSED:
                verb = "read" if reads else "set"
                self.error(node, f"the attribute `{node.attr}` cannot be {verb}: {names.advice(name)}")
            case Verdict.PRIVATE:
                node.attr = name
                node.value = private_owner(node.value, name)
            case Verdict.GUARDED if isinstance(literal, str) and name == "format":
                if refused := find_refused_field(literal):
                    self.error(node, f"a format string cannot read the attribute `{refused}`: pass its value instead")
            case Verdict.GUARDED:
                return hook_call(Hook.GUARDED, node.value, name, at=node)
            case Verdict.NATIVE:
                pass
        return node

    def _aug_assign(self, node: ast.AugAssign) -> ast.AST:
        if isinstance(node.target, ast.Attribute) and node.target.attr in names.GUARDED:
            self.error(node.target, f"the attribute `{node.target.attr}` cannot be changed in place: assign it")
            return node
        return self.node_contents_visit(node)

    def _assign(self, node: ast.Assign) -> ast.AST:
        if self._scopes[-1] == "class" and class_rules.is_match_args(node):
            node.value = self.visit(node.value)
            return node
        return self.node_contents_visit(node)

    def _import(self, node: ast.Import | ast.ImportFrom) -> ast.AST:
        for place, complaint in import_rules.complaints(node, self._modules):
            self.error(place, complaint)
        return self.node_contents_visit(node)

    def _alias(self, node: ast.alias) -> ast.AST:
        self.check_name(node, node.asname)
        return node

    # Scopes.

    def _function(self, node: Any) -> ast.AST:
        self.check_name(node, node.name, allow_magic_methods=True)
        node.decorator_list = self._visit_all(node.decorator_list)
        node.returns = self.visit(node.returns) if node.returns else None
        self._visit_all(getattr(node, "type_params", []))
        self._visit_arguments(node.args)
        self._scopes.append("function")
        node.body = self._visit_all(node.body)
        self._scopes.pop()
        result: ast.AST = node
        return result

    def _lambda(self, node: ast.Lambda) -> ast.AST:
        self._visit_arguments(node.args)
        self._scopes.append("function")
        node.body = self.visit(node.body)
        self._scopes.pop()
        return node

    def _visit_arguments(self, arguments: ast.arguments) -> None:
        # The names belong to the function's own scope, where no dunder may be bound; defaults are visited with them,
        # so a default in a class body cannot read one either.
        self._scopes.append("function")
        self.visit(arguments)
        self._scopes.pop()

    def _class(self, node: ast.ClassDef) -> ast.AST:
        self.check_name(node, node.name)
        for keyword in node.keywords:
            may_stand = keyword.arg == "metaclass" and class_rules.may_be_metaclass(keyword.value)
            if keyword.arg in {None, "metaclass"} and not may_stand:
                self.error(keyword, "metaclasses are not offered: use __init_subclass__ or a class decorator")
        node.decorator_list = self._visit_all(node.decorator_list)
        node.bases = self._visit_all(node.bases)
        node.keywords = self._visit_all(node.keywords)
        self._visit_all(getattr(node, "type_params", []))
        self._scopes.append("class")
        self._classes.append(node.name)
        node.body = self._visit_all(node.body)
        self._classes.pop()
        self._scopes.pop()
        return node

    def _yield(self, node: Any) -> ast.AST:
        if self._scopes == ["body"]:
            self.error(node, "a function's body cannot yield: put the generator in a nested `def`, or return a list")
        contents: ast.AST = self.node_contents_visit(node)
        return contents

    # Whatever could swallow the end of a run, see `sandbox.python.rewrites`.

    def _except_handler(self, node: ast.ExceptHandler) -> ast.AST:
        self.check_name(node, node.name)
        self.node_contents_visit(node)
        node.body.insert(0, check_statement(node.body[0], at_end=False))
        return node

    def _try(self, node: ast.Try) -> ast.AST:
        self.node_contents_visit(node)
        if node.handlers:
            node.handlers.insert(0, stop_handler(node.handlers[0]))
        node.finalbody = guard_exits(node.finalbody)
        return node

    def _with(self, node: Any) -> list[ast.AST]:
        self.node_contents_visit(node)
        return [node, check_statement(node, at_end=True)]
