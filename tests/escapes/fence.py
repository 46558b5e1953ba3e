"""What a guard of the fence is, and ways to take one out of the process at hand: for processes that are thrown away."""

import collections
import contextlib
import copy
import ctypes
import dataclasses
import email.generator
import email.policy
import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

_IMMUTABLE: Final = 1 << 8
_HEAP_TYPE: Final = 1 << 9


@dataclass(frozen=True)
class Guard:
    """One thing that stands in the way, or several that only together do."""

    name: str
    remove: Callable[[], None] = field(repr=False)
    witness: str
    """A program that reaches its goal as soon as this guard is out."""


@dataclass(frozen=True)
class Originals:
    """What `hardening` replaces, taken before it does."""

    create: Any = dataclasses.field(default_factory=lambda: enum.EnumMeta._create_)  # type: ignore[attr-defined] # private
    copy: Any = dataclasses.field(default_factory=lambda: copy)
    user_dict_copy: Any = dataclasses.field(default_factory=lambda: collections.UserDict.copy)
    clone: Any = dataclasses.field(default_factory=lambda: email.policy.Policy.clone)
    generator_deepcopy: Any = dataclasses.field(default_factory=lambda: copy.deepcopy)
    decorators: Any = dataclasses.field(
        default_factory=lambda: {
            cls: cls.__call__ for cls in (contextlib.ContextDecorator, contextlib.AsyncContextDecorator)
        }
    )
    exit: Any = dataclasses.field(default_factory=lambda: contextlib.ExitStack.__exit__)
    aexit: Any = dataclasses.field(default_factory=lambda: contextlib.AsyncExitStack.__aexit__)

    obj: Any = dataclasses.field(default_factory=lambda: vars(AttributeError)["obj"])


ORIGINALS: Final = Originals()
assert email.generator is not None


def put(owner: Any, **values: Any) -> Callable[[], None]:
    """Take a guard out by putting these in its module's or class's place."""

    def remove() -> None:
        if isinstance(owner, type):
            thaw([owner])
        for name, value in values.items():
            setattr(owner, name, value)

    return remove


def both(*removals: Callable[[], None]) -> Callable[[], None]:
    """Take out guards of which each would hold alone."""

    def remove() -> None:
        for removal in removals:
            removal()

    return remove


def thaw(classes: Iterable[type]) -> None:
    """Undo `frozen_classes` for these."""
    from sandbox.python.frozen_classes import _flags_offset_bytes  # noqa: PLC0415 - the originals are taken first

    offset = _flags_offset_bytes()
    for cls in classes:
        if cls.__flags__ & _HEAP_TYPE:
            ctypes.c_ulong.from_address(id(cls) + offset).value &= ~_IMMUTABLE


def identity(value: Any, *_rest: Any) -> Any:
    """In place of what checks or wraps its first argument."""
    return value


def nothing(*_arguments: Any, **_options: Any) -> None:
    """In place of what raises."""


def yes(*_arguments: Any) -> bool:
    """In place of what decides."""
    return True
