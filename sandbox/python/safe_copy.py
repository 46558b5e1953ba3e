"""`copy.copy` and `copy.deepcopy` that ask classes only, never objects, how they are copied.

The real ones look for `__reduce_ex__` and `__setstate__` on the object, where `vars(obj)` may have put them, and then
set attributes of whatever names they are given. They also show their memo, and with it what libraries keep in objects.
"""

import array
import enum
import re
import types
import weakref
from collections.abc import Iterable
from typing import Any, Final

from sandbox.python import ownership
from sandbox.python.shown_classes import ShownClass
from sandbox.python.words import words

_ATOMIC: Final = (
    type(None), int, float, bool, complex, bytes, str, range, type(Ellipsis), type(NotImplemented), types.FunctionType,
    types.BuiltinFunctionType, property, weakref.ref, re.Pattern, re.Match, ShownClass,
)  # fmt: skip
_COPIED_MODULES: Final = frozenset(
    words("""
    builtins collections datetime decimal _decimal fractions uuid ipaddress array random types functools zoneinfo email
    string textwrap json csv _csv io _io calendar statistics difflib html _markupbase urllib graphlib typing time
    """)
)
"""Top-level modules whose objects may be copied: none leads to a loop, a lock or a file."""


class _Memo:
    """What was copied already. To tenant code it is something to hand on: entries are made for its own objects only."""

    __slots__ = ("_copying", "_kept", "_made")

    def __init__(self) -> None:
        self._made: dict[int, object] = {}
        self._kept: list[object] = []
        self._copying: set[int] = set()

    def __setitem__(self, key: int, value: object) -> None:
        if type(key) is int and key in self._copying:
            self._made[key] = value

    def __contains__(self, key: int) -> bool:
        return type(key) is int and key in self._copying and key in self._made

    def __getitem__(self, key: int) -> object:
        if key in self:
            return self._made[key]
        raise KeyError(key)

    def get(self, key: int, default: object = None) -> object:
        """What an object of the tenant's own became."""
        return self._made[key] if key in self else default


def copy(x: Any) -> Any:
    """copy.copy"""
    if _is_atomic(x):
        return x
    cls = type(x)
    if cls in {list, dict, set}:
        return x.copy()
    if cls in {tuple, frozenset}:
        return x
    method = _copier(cls, "__copy__")
    return method(x) if method is not None else _rebuilt(x, None)


def deepcopy(x: Any, memo: object = None, _nil: object = None) -> Any:
    """copy.deepcopy; of memos, only one that it gave to a `__deepcopy__` means something to it."""
    return _deep(x, memo if type(memo) is _Memo else _Memo())


def replace(obj: Any, /, **changes: Any) -> Any:
    """copy.replace, by the class's own `__replace__`."""
    method = getattr(type(obj), "__replace__", None)
    if method is None:
        raise TypeError(f"replace() does not support {type(obj).__name__} objects")
    return method(obj, **changes)


def _is_atomic(x: object) -> bool:
    return type(x) in _ATOMIC or isinstance(x, type | enum.Enum)


def _deep(x: Any, memo: _Memo) -> Any:
    if _is_atomic(x):
        return x
    made, key = memo._made, id(x)  # noqa: SLF001 - the memo is closed to tenants, not to this module
    if key in made:
        return made[key]
    copied = _deep_new(x, memo)
    made[key] = copied
    memo._kept.append(x)  # noqa: SLF001 - its id must not come to mean another object
    return copied


def _deep_new(x: Any, memo: _Memo) -> Any:  # noqa: PLR0911 - a table of types, a line or two each
    cls = type(x)
    made, key = memo._made, id(x)  # noqa: SLF001 - see `_deep`
    if cls is list:
        items: list[Any] = []
        made[key] = items
        items.extend(_deep(item, memo) for item in x)
        return items
    if cls is dict:
        entries: dict[Any, Any] = {}
        made[key] = entries
        entries.update((_deep(name, memo), _deep(value, memo)) for name, value in list(x.items()))
        return entries
    if cls is tuple:
        parts = tuple(_deep(item, memo) for item in x)
        unchanged = all(part is item for part, item in zip(parts, x, strict=True))
        return made.get(key, x if unchanged else parts)
    if cls is types.MethodType:
        return types.MethodType(x.__func__, _deep(x.__self__, memo))
    method = _copier(cls, "__deepcopy__")
    if method is None:
        return _rebuilt(x, memo)
    if not ownership.is_own(cls):
        return method(x, {})
    memo._copying.add(key)  # noqa: SLF001 - see `_deep`
    return method(x, memo)


def _copier(cls: type, name: str) -> Any:
    """The class's own way to copy, if it is the tenant's or one of a library that may be copied. Raises: TypeError."""
    for base in cls.__mro__:
        if name in base.__dict__:
            if not ownership.is_own(base):
                _check_class(base)
            return getattr(cls, name)
    return None


def _check_class(cls: type) -> None:
    refused = (
        ownership.keeps_internals(cls)
        if ownership.is_own(cls)
        else cls.__module__.partition(".")[0] not in _COPIED_MODULES | {"sandbox"} and not issubclass(cls, tuple)
    )
    if refused:
        raise TypeError(f"{cls.__name__!r} objects cannot be copied: give your own class a __copy__ or __deepcopy__")


def _check_names(attributes: Iterable[object]) -> None:
    for name in attributes:
        if type(name) is not str or (name.startswith("__") and name.endswith("__")):
            raise TypeError(f"an object with an attribute {name!r} cannot be copied")


def _rebuilt(x: Any, memo: _Memo | None) -> Any:
    """An object made anew from what its class says of it, as `copy._reconstruct` does."""
    cls: Any = type(x)
    _check_class(cls)
    # Beside the class, `object.__reduce_ex__` asks the object too.
    _check_names(getattr(x, "__dict__", None) or () if type(x) is not array.array else ())
    reduced = cls.__reduce_ex__(x, 4)
    if isinstance(reduced, str):
        return x
    make, arguments, state, items, entries = (*reduced, None, None, None)[:5]
    made = make(*(arguments if memo is None else [_deep(argument, memo) for argument in arguments]))
    if memo is not None:
        memo._made[id(x)] = made  # noqa: SLF001 - see `_deep`
        state = _deep(state, memo)
    if state is not None:
        _restore(made, state)
    for item in items or ():
        made.append(item if memo is None else _deep(item, memo))
    for key, value in entries or ():
        if memo is None:
            made[key] = value
        else:
            made[_deep(key, memo)] = _deep(value, memo)
    return made


def _restore(made: Any, state: Any) -> None:
    restore = getattr(type(made), "__setstate__", None)
    if restore is not None:
        restore(made, state)
        return
    slots: dict[str, object] = {}
    if isinstance(state, tuple) and len(state) == 2:  # noqa: PLR2004 - attributes and slots, as `object.__reduce_ex__` has it
        state, slots = state[0], state[1] or {}
    _check_names([*(state or ()), *slots])
    if state:
        made.__dict__.update(state)
    for name, value in slots.items():
        object.__setattr__(made, name, value)
