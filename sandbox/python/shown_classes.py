"""What `type(x)` shows of a class that is not offered under a name: what it is called, and what belongs to it.

The class itself could be called, and that makes what nobody watches: `type(task)(forever())` is a task of no run.
"""

import builtins
import enum
import types
from typing import Any, Final, NoReturn
from weakref import WeakKeyDictionary, ref

from sandbox.python import ownership

_MACHINERY: Final = frozenset(
    {types.FunctionType, types.CodeType, types.FrameType, types.TracebackType, types.ModuleType, types.CellType}
)
"""Builtins that make what code consists of."""


class ShownClass:
    """Stands for one class: compares by identity, answers `isinstance`, cannot be called or inherited from."""

    __slots__ = ("__name__", "__qualname__", "__weakref__", "_class", "_module")

    __name__: str
    __qualname__: str
    _class: "ref[type]"
    _module: str

    def __init__(self, cls: type) -> None:
        for name, value in (("__name__", cls.__name__), ("__qualname__", cls.__qualname__), ("_class", ref(cls))):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "_module", cls.__module__)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{self!r} cannot be changed")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{self!r} cannot be changed")

    def __instancecheck__(self, instance: object) -> bool:
        cls = self._class()
        return cls is not None and isinstance(instance, cls)

    def __subclasscheck__(self, subclass: Any) -> bool:
        cls = self._class()
        return cls is not None and isinstance(subclass, type) and issubclass(subclass, cls)

    def __repr__(self) -> str:
        return f"<class '{self._module}.{self.__qualname__}'>"


_shown: WeakKeyDictionary[type, ShownClass] = WeakKeyDictionary()


def shown_class(cls: type) -> object:
    """The class itself if tenant code may have it, or what stands for it."""
    if ownership.is_own(cls) or ownership.is_offered(cls):
        return cls
    if cls.__module__ == builtins.__name__ and cls not in _MACHINERY:
        return cls
    if issubclass(cls, (enum.Enum, tuple, BaseException)):
        return cls  # made by calling `namedtuple` or `Enum`, or an exception to be caught
    shown = _shown.get(cls)
    if shown is None:
        shown = _shown[cls] = ShownClass(cls)
    return shown
