"""The guards that decide when code is compiled: nodes of the tree, and tables of names."""

import ast
import builtins as native
from collections.abc import Callable
from typing import Any, Final

from sandbox.python import class_rules, guards, module_wrappers, names, ownership, policy, safe_format
from sandbox.python.names import Verdict
from sandbox.python.words import words
from tests.escapes.fence import Guard, both, nothing, put

HELD_ELSEWHERE: Final = {
    "Lambda": "it only says which scope its names are in; the names are checked by `arg` and `Name`",
    "Nonlocal": "it needs a name that is bound further out, and every binding is checked",
    "keyword": "the same call can be written with `**`, and nothing trusts the names it is called with",
    "Import": "the importer refuses the same when the code runs; this one says it with the line, and all at once",
    "ImportFrom": "the same",
    "Yield": "what a body that is a generator would be like; no fence",
    "YieldFrom": "the same",
    "TypeVar": "a name of 3.12; tests/unit/test_policy.py has every position",
    "ParamSpec": "the same",
    "TypeVarTuple": "the same",
    "Assign": "it lets `__match_args__` through, if written out; `names written out` below takes it out",
}
"""Kinds of nodes that are looked at for other reasons than the fence, or are held by another test."""


def _as_is(*kinds: str) -> Callable[[], None]:
    return lambda: setattr(policy, "AS_IS", policy.AS_IS | set(kinds))


def _native(*given: str) -> Callable[[], None]:
    """Let attributes of these names be read and written without a check, wherever that is decided."""

    def remove() -> None:
        decided, written = names.reading, names.writing

        def reading(name: str) -> Verdict:
            return Verdict.NATIVE if name in given else decided(name)

        def writing(name: str) -> Verdict:
            return Verdict.NATIVE if name in given else written(name)

        names.reading, names.writing = reading, writing
        for module in (ownership, module_wrappers):
            module.reading = reading  # type: ignore[attr-defined] # imported by name

    return remove


def _begins(prefix: str) -> Callable[[], None]:
    return _native(*(name for name in names.REFUSED if name.startswith(prefix)))


def _verdict(rule: str, instead_of: Verdict) -> Callable[[], None]:
    def remove() -> None:
        decided = getattr(names, rule)

        def rules(name: str) -> Verdict:
            verdict: Verdict = decided(name)
            return Verdict.NATIVE if verdict is instead_of else verdict

        setattr(names, rule, rules)
        for module in (ownership, module_wrappers):
            if hasattr(module, rule):
                setattr(module, rule, rules)

    return remove


def _definable(*given: str) -> Callable[[], None]:
    return lambda: setattr(names, "DEFINABLE", names.DEFINABLE | set(given))


def _any_match_args(node: ast.Assign) -> bool:
    return any(isinstance(target, ast.Name) and target.id == names.MATCH_ARGS for target in node.targets)


def _global_of(table: str, module: Any) -> Callable[[], None]:
    return lambda: setattr(module, table, frozenset())


def _no_siblings() -> None:
    native: Any = policy.Policy.__init__

    def __init__(self: Any, **options: Any) -> None:  # noqa: N807 - the method it replaces
        native(self, **{**options, "siblings": ()})

    put(policy.Policy, __init__=__init__)()


def _top_level_only() -> None:
    native = safe_format.find_refused_field

    def find(template: str, *, nested: bool = False) -> str | None:
        return None if nested else native(template)

    safe_format.find_refused_field = find


def _no_check(node: ast.stmt, *, at_end: bool) -> ast.stmt:
    return ast.fix_missing_locations(ast.copy_location(ast.Pass(), node))


def _no_handler(handler: ast.ExceptHandler) -> ast.ExceptHandler:
    never = ast.ExceptHandler(type=ast.Tuple(elts=[], ctx=ast.Load()), name=None, body=[ast.Raise()])
    return ast.fix_missing_locations(ast.copy_location(never, handler))


def _same(block: list[ast.stmt]) -> list[ast.stmt]:
    return block


_NODES: Final = {
    "TryStar": "CVE-2025-22153",
    "FunctionDef": "name of a hook, function",
    "AsyncFunctionDef": "name of a hook, async function",
    "ClassDef": "name of a hook, class",
    "AugAssign": "format in place",
    "With": "end swallowed by an exit",
    "AsyncWith": "end swallowed by an async exit",
    "Try": "end swallowed by a finally",
    "ExceptHandler": "name of a hook, exception",
    "alias": "name of a hook, import",
    "Global": "global name of a builtin",
    "Attribute": "CVE-2023-37271",
    "Name": "name of a hook, assignment",
    "arg": "CVE-2026-55830",
    "MatchAs": "name of a hook, pattern",
    "MatchStar": "name of a hook, star of a pattern",
    "MatchMapping": "name of a hook, rest of a pattern",
    "MatchClass": "mcp-use#1735, pattern",
}

_GUARDED: Final = {
    "format": "CVE-2023-41039",
    "format_map": "CVE-2023-41050",
    "__class__": "class that makes classes",
    "__dict__": "dict of a class",
    "__annotations__": "annotations of a library's function",
    "__setattr__": "setattr by the method",
    "__delattr__": "delattr by the method",
    "__getattribute__": "getattribute by the method",
    "__members__": "members of an enum",
    "groupindex": "groups of a pattern, given away",
    "add_done_callback": "callback of a task",
    "remove_done_callback": "callbacks of a task, removed",
    "set_result": "result of a task",
    "set_exception": "exception of a task",
    **{name: f"method that the language calls: {name.strip('_')}" for name in sorted(names.OWN_METHODS)},
}

_REFUSED: Final = {
    "gi_": "RestrictedPython#285",
    "cr_": "frame of a coroutine",
    "ag_": "frame of an async generator",
    "f_": "frame that leaked",
    "tb_": "traceback that leaked",
    "co_": "code that leaked",
    "mro": "mro of a class",
    "get_loop": "loop of a task",
    "header_factory": "factory of a policy",
}

_DUNDER: Final = words("""
    __globals__ __code__ __closure__ __self__ __func__ __wrapped__ __traceback__ __subclasses__ __bases__ __base__
    __mro__ __builtins__ __reduce__ __reduce_ex__ __loader__ __spec__ __defaults__ __kwdefaults__
    """)

_DEFINED: Final = {
    "__del__": "finalizer",
    "__getattribute__": "hears every name",
    "__reduce_ex__": "says how it is copied",
    "__class__": "says what it is",
}

GUARDS: Final = [
    *(Guard(f"policy: the node {kind}", _as_is(kind), witness) for kind, witness in _NODES.items()),
    Guard(
        "policy: metaclasses (and build_class)",
        both(_as_is("ClassDef"), put(guards, build_class=native.__build_class__)),
        "metaclass that is a function",
    ),
    Guard("policy: names that cannot be bound", put(policy.Policy, check_name=nothing), "name of a hook, assignment"),
    Guard(
        "policy: names written out in __match_args__", put(class_rules, is_match_args=_any_match_args), "frame by names"
    ),
    Guard(
        "policy: fields of a literal format string",
        put(policy, find_refused_field=nothing),
        "CVE-2016-10745",
    ),
    Guard("policy: a check in every handler", put(policy, check_statement=_no_check), "end swallowed in another shape"),
    Guard(
        "policy: a handler before all others (and the check in every handler)",
        put(policy, stop_handler=_no_handler, check_statement=_no_check),
        "end swallowed by an except",
    ),
    Guard("policy: a check before what leaves a finally", put(policy, guard_exits=_same), "end swallowed by a finally"),
    Guard("names: what all bodies share", _global_of("RESERVED", names), "global name of what all bodies share"),
    Guard("names: builtins, for `global`", put(policy, NEVER_GLOBAL=frozenset()), "global name of a builtin"),
    Guard("names: siblings, for `global`", _no_siblings, "global name of a sibling"),
    *(Guard(f"names: refused, {prefix}…", _begins(prefix), witness) for prefix, witness in _REFUSED.items()),
    *(Guard(f"names: guarded, {name}", _native(name), witness) for name, witness in _GUARDED.items()),
    *(Guard(f"names: definable, not {name}", _definable(name), witness) for name, witness in _DEFINED.items()),
    Guard("names: two underscores, read", _native(*_DUNDER), "globals of a function"),
    Guard("names: two underscores, written", _native("__match_args__"), "attribute written to a class"),
    Guard("names: refused names, written", _native("f_trace_lines"), "frame that leaked, traced"),
    Guard("names: one underscore, read", _verdict("reading", Verdict.PRIVATE), "private attribute"),
    Guard("names: one underscore, written", _verdict("writing", Verdict.PRIVATE), "private attribute, written"),
    Guard("safe_format: specifications inside fields", _top_level_only, "llama_index#21633"),
]
