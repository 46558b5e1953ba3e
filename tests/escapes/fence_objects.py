"""The guards that decide when code runs: builtins, attributes, classes, strings, copies."""

import builtins as native
import operator
from collections.abc import Callable
from typing import Any, Final
from weakref import ref

from sandbox.python import (
    builtins,
    guards,
    names,
    ownership,
    safe_copy,
    safe_format,
    shown_classes,
)
from sandbox.python.output_modules import _RootLogger
from tests.escapes.fence import Guard, identity, nothing, put, thaw, yes


def _provided(name: str) -> Callable[[], None]:
    return lambda: operator.setitem(builtins._PROVIDED, name, getattr(native, name))


def _except_base(base: type) -> Callable[[], None]:
    return lambda: setattr(ownership, "_NEVER_BASES", tuple(cls for cls in ownership._NEVER_BASES if cls is not base))


def _without(name: str, cls: type) -> Callable[[], None]:
    def remove() -> None:
        thaw([cls])
        setattr(cls, name, getattr(object, name))

    return remove


def _checked(position: str) -> Callable[[], None]:
    """`_checked_method` without one of its questions."""

    def remove() -> None:
        if position == "own":
            put(guards, ownership=_Answers(is_own=yes))()
        elif position == "private":
            put(guards, ownership=_Answers(private=identity))()

    return remove


class _Answers:
    """A module with some of its functions exchanged, for one of those who ask it."""

    def __init__(self, **exchanged: Any) -> None:
        self.exchanged = exchanged

    def __getattr__(self, name: str) -> Any:
        return self.exchanged.get(name) or getattr(ownership, name)


def _any_name(obj: Any, method: str, _rule: object, *, name_at: int) -> Any:
    return _CHECKED(obj, method, lambda name: names.Verdict.NATIVE, name_at=name_at)


_CHECKED: Final = guards._checked_method


def _keeps_nothing(cls: type) -> None:
    _ADOPT(cls)
    key = next(key for key in ownership._own if key() is cls)
    ownership._own[key] = ownership._own[key] or frozenset()


_ADOPT: Final = ownership.adopt


def _no_class_of_a_class(obj: object) -> object:
    return type(obj)


def _memo_for_all() -> None:

    def deep(x: Any, memo: dict[int, object]) -> Any:
        if type(x) is list:
            made: list[Any] = []
            memo[id(x)] = made
            made.extend(deep(item, memo) for item in x)
            return made
        return type(x).__deepcopy__(x, memo)

    put(safe_copy, _Memo=dict, _deep=deep)()


def _is_open(obj: Any, name: str) -> bool:
    refused = ownership._own.get(ref(obj)) if isinstance(obj, type) else None
    if isinstance(obj, type) and refused is None and ownership.is_own(obj):
        return False
    return isinstance(obj, type) and (refused is None or name not in refused)


_BUILTINS: Final = {
    "getattr": "RestrictedPython#142",
    "hasattr": "CVE-2026-4963, hasattr",
    "setattr": "setattr of a refused name",
    "delattr": "delattr of a refused name",
    "vars": "vars of a class",
    "dir": "dir of the names in scope",
    "type": "type of three",
    "open": "open",
    "exec": "exec",
    "eval": "eval",
    "compile": "compile",
    "globals": "globals",
    "locals": "locals",
}

_BASES: Final = {
    "type": "inherited from what a module of the operator's offers: type",
    "super": "inherited from super",
    "GenericAlias": "inherited from what a module of the operator's offers: an alias",
    "ReferenceType": "inherited from what a module of the operator's offers: a reference",
    "_LoopBoundMixin": "event loop by a descriptor of an own lock",
    "Policy": "inherited from a policy",
    "property": "attribute of any name by a property of enums",
}

GUARDS: Final = [
    *(Guard(f"builtins: {name}", _provided(name), witness) for name, witness in _BUILTINS.items()),
    Guard("guards: names are exact strings", put(guards, _plain=identity), "CVE-2026-34938"),
    Guard("guards: type of a class", put(guards, type_of=_no_class_of_a_class), "type of type"),
    Guard("guards: __setattr__ and its kin, own objects", _checked("own"), "setattr by the method"),
    Guard(
        "guards: __setattr__ and its kin, names",
        put(guards, _checked_method=_any_name),
        "setattr by the method, refused name",
    ),
    Guard("guards: __setattr__ and its kin, private names", _checked("private"), "setattr by the method, private name"),
    Guard(
        "guards: what the language calls, own objects", put(guards, _own_method=getattr), "an object that nobody made"
    ),
    Guard("guards: futures", put(guards, _future_method=getattr), "callback of a task"),
    Guard("guards: vars, own objects", put(guards, variables=vars), "dict of a class"),
    Guard("guards: vars, objects that keep internals", _checked("private"), "vars of a library's class"),
    Guard("guards: build_class", put(guards, build_class=native.__build_class__), "inherited from super"),
    Guard("safe_format: fields of a string", put(safe_format, _check=nothing), "CVE-2023-41039"),
    Guard("safe_format: UserString", put(safe_format, _of_user_string=identity), "format of a UserString"),
    Guard("ownership: private attributes", put(ownership, private=identity), "private attribute"),
    Guard("ownership: which classes are own", put(ownership, is_own=yes), "object.__setattr__ of a module"),
    Guard(
        "ownership: own classes that keep internals",
        put(ownership, adopt=_keeps_nothing),
        "private attribute of a class of its own",
    ),
    Guard(
        "ownership: attributes of metaclasses", put(ownership, is_open=_is_open), "private attribute of an enum class"
    ),
    Guard(
        "ownership: bases that are offered",
        put(ownership, may_be_inherited=yes),
        "event loop by a descriptor of an own lock",
    ),
    *(
        Guard(f"ownership: never a base, {base.__name__}", _except_base(base), _BASES[base.__name__])
        for base in ownership._NEVER_BASES
    ),
    Guard(
        "ownership: positional patterns of bases",
        put(ownership, _has_native_match_args=yes),
        "frame by a namedtuple pattern",
    ),
    Guard("ownership: slots", put(ownership, freeze_slots=nothing), "slots of two underscores"),
    Guard("ownership: fields", put(ownership, check_fields=nothing), "format as the field of a dataclass"),
    Guard("shown_classes", put(guards, shown_class=identity), "call of a class that was not given"),
    Guard(
        "shown_classes: cannot be changed",
        _without("__setattr__", shown_classes.ShownClass),
        "what stands for a class, changed",
    ),
    Guard("logging: the root logger", put(_RootLogger, __setattr__=object.__setattr__), "root logger of all"),
    Guard("safe_copy: names that are set", put(safe_copy, _check_names=nothing), "copy of an object that says how"),
    Guard("safe_copy: classes that are copied", put(safe_copy, _check_class=nothing), "deepcopy of an own lock"),
    Guard("safe_copy: the memo", _memo_for_all, "memo of a deepcopy"),
    Guard(
        "dataclasses: positional patterns",
        put(ownership, native_match_args=lambda cls: cls.__dict__.get("__match_args__", ())),
        "event loop by a dataclass pattern",
    ),
]
