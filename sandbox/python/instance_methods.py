"""Keeps methods of library classes to objects of these classes.

A method written in Python takes anything as its `self` when it is called through its class. Where it then makes one
more object of the same kind (`self.__class__(…)`, `type(self)(…)`) and `self` is a class, it calls `type`:
`collections.ChainMap.new_child(cls, name)` does so with a name, bases and a dict of the caller's choice.
"""

import types
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, Final

from sandbox.python.names import Verdict, reading

_ASKED: Final = frozenset({"__class__", "type"})
_NEVER_MAKERS: Final = frozenset(
    {"__new__", "__init_subclass__", "__class_getitem__", "__subclasshook__"}  # their first argument is a class
    | {"__init__", "__repr__", "__str__", "__dir__", "__setattr__"}  # they make text, or nothing
)


def keep_to_objects(classes: Iterable[type]) -> None:
    """Make the methods of these classes that ask for the class of something refuse objects of any other."""
    for cls in classes:
        if issubclass(cls, type):
            continue  # of a metaclass, objects are classes
        for name, member in list(vars(cls).items()):
            if name in _NEVER_MAKERS or reading(name) is Verdict.REFUSED:
                continue
            if isinstance(member, types.FunctionType) and _asks(member.__code__):
                setattr(cls, name, _of_objects(cls, member))
            elif (
                type(member) is property and isinstance(member.fget, types.FunctionType) and _asks(member.fget.__code__)
            ):
                setattr(cls, name, property(_of_objects(cls, member.fget), member.fset, member.fdel, member.__doc__))


def _asks(code: types.CodeType) -> bool:
    inner = (constant for constant in code.co_consts if isinstance(constant, types.CodeType))
    return not _ASKED.isdisjoint(code.co_names) or any(map(_asks, inner))


def _of_objects(cls: type, function: Callable[..., Any]) -> Callable[..., Any]:
    if hasattr(function, "is_kept_to_objects"):
        return function  # done already

    @wraps(function)
    def method(self: Any, /, *args: Any, **options: Any) -> Any:
        # Not isinstance(), which an abstract class lets others answer.
        if cls not in type(self).__mro__:
            raise TypeError(f"{function.__qualname__}() needs an object of {cls.__name__!r}")
        return function(self, *args, **options)

    method.is_kept_to_objects = True  # type: ignore[attr-defined] # a mark, so that it is done once
    return method
