"""Changes to the standard library for the whole process, made once, before classes are frozen and workers forked."""

import collections
import contextlib
import ctypes
import dataclasses
import difflib
import email.generator
import email.policy
import enum
import functools
import gc
import itertools
import operator
import sys
import types
from email import _policybase
from typing import Any

from sandbox.python import ownership, safe_copy
from sandbox.python.checks import CHECKS


def harden() -> None:
    """Change, in this whole process, what a façade cannot: classes that tenants must be able to inherit from."""
    if getattr(enum.EnumMeta._create_, "is_hardened", False):  # type: ignore[attr-defined] # see below
        return
    _harden_enums()
    _harden_copies()
    _harden_attribute_errors()
    _harden_policies()
    for cls in (contextlib.ContextDecorator, contextlib.AsyncContextDecorator):
        _harden_decorator(cls)
    _harden_exits()
    _harden_annotations()
    _harden_html_diff()


def _harden_copies() -> None:
    """Libraries that copy a tenant's objects do it as `safe_copy` does."""
    dataclasses.copy = types.SimpleNamespace(copy=safe_copy.copy, deepcopy=safe_copy.deepcopy)  # type: ignore[attr-defined] # a module it imports
    email.generator.deepcopy = safe_copy.deepcopy  # type: ignore[attr-defined] # a function it imports

    def copy(self: Any) -> Any:
        if not issubclass(type(self), collections.UserDict):
            raise TypeError("copy() is for a UserDict")
        return safe_copy.copy(self)

    collections.UserDict.copy = copy  # type: ignore[method-assign] # before the class is frozen


def _harden_attribute_errors() -> None:
    """An AttributeError holds the object that lacked the attribute, and a library asks objects that nobody may have.

    `ExitStack().enter_context(int)` asks the class of `int`, which is `type`. No name tells this `obj` from any other,
    so it is taken from the exception. A descriptor must stay: the interpreter sets it wherever one is raised.
    """
    replace_member(AttributeError, "obj", property(lambda _error: None, _ignore))


_ignore: Any = operator.is_  # takes two arguments, does nothing with them, natively
_replaced: list[object] = []


def replace_member(cls: type, name: str, descriptor: object) -> None:
    """Put a descriptor into a class written in C, which refuses it by every other way (CPython only)."""
    modified = ctypes.pythonapi.PyType_Modified
    modified.restype = None
    (members,) = (found for found in gc.get_referents(vars(cls)) if type(found) is dict)
    # Caches of the interpreter may still hold the old one, without a reference of their own.
    _replaced.append(members[name])
    members[name] = descriptor
    modified(ctypes.py_object(cls))


def _harden_policies() -> None:
    """`clone` copies whatever object it is called on and sets attributes of any name on the copy, `__class__` too."""
    native: Any = email.policy.Policy.clone

    def clone(self: Any, **changes: Any) -> Any:
        if not issubclass(type(self), email.policy.Policy) or any(
            type(name) is not str or name.startswith("_") for name in changes
        ):
            raise TypeError("clone() is for a policy and its public attributes")
        return native(self, **changes)

    _policybase._PolicyBase.clone = clone  # type: ignore[method-assign] # noqa: SLF001 - the class that defines it


def _harden_decorator(cls: Any) -> None:
    """A context manager that decorates a function may swallow what ends it; then there is a check."""
    native = cls.__call__
    is_async = cls is contextlib.AsyncContextDecorator

    def __call__(self: Any, func: Any) -> Any:  # noqa: N807 - the method it replaces
        inner = native(self, func)

        @functools.wraps(inner)
        def checked(*args: Any, **options: Any) -> Any:
            try:
                return inner(*args, **options)
            finally:
                CHECKS.check()

        @functools.wraps(inner)
        async def checked_async(*args: Any, **options: Any) -> Any:
            try:
                return await inner(*args, **options)
            finally:
                CHECKS.check()

        return checked_async if is_async else checked

    cls.__call__ = __call__


def _harden_exits() -> None:
    """An exit stack that is driven by hand swallows what its callbacks raise, if one of them says so."""
    exit_, aexit = contextlib.ExitStack.__exit__, contextlib.AsyncExitStack.__aexit__

    def __exit__(self: Any, *details: Any) -> Any:  # noqa: N807 - the method it replaces
        try:
            return exit_(self, *details)
        finally:
            CHECKS.check()

    async def __aexit__(self: Any, *details: Any) -> Any:  # noqa: N807 - the method it replaces
        try:
            return await aexit(self, *details)
        finally:
            CHECKS.check()

    contextlib.ExitStack.__exit__ = __exit__  # type: ignore[method-assign] # before the class is frozen
    contextlib.AsyncExitStack.__aexit__ = __aexit__  # type: ignore[method-assign] # before the class is frozen


def _harden_annotations() -> None:
    """An annotation that is a string is looked up in the module of its class; a tenant's class has none."""
    native: Any = dataclasses._is_type  # type: ignore[attr-defined] # noqa: SLF001 - the one place that looks

    def _is_type(annotation: str, cls: type, *rest: Any) -> bool:
        return cls.__module__ in sys.modules and native(annotation, cls, *rest)

    dataclasses._is_type = _is_type  # type: ignore[attr-defined] # noqa: SLF001 - as above


def _harden_html_diff() -> None:
    """It counts its tables in an attribute of the class, which cannot be set once the class is frozen."""
    numbers = itertools.count()

    def _make_prefix(self: Any) -> None:
        number = next(numbers)
        self._prefix = [f"from{number}_", f"to{number}_"]

    difflib.HtmlDiff._make_prefix = _make_prefix  # type: ignore[attr-defined] # noqa: SLF001 - the only place that counts


def _harden_enums() -> None:
    """Make `Enum("Name", {...})` refuse names with two underscores.

    The class itself has to be offered as it is, so that it can be inherited from, and its functional form would put
    whatever it is given into the new class: `__reduce_ex__`, say, by which `copy` can be made to set any attribute.
    """
    native: Any = enum.EnumMeta._create_  # type: ignore[attr-defined] # private; the one place all calls pass

    def _create_(cls: Any, class_name: Any, names: Any, **options: Any) -> Any:
        if isinstance(names, str):
            names = str.__str__(names).replace(",", " ").split()
        entries = list(names.items()) if isinstance(names, dict) else list(names)
        members = [item if isinstance(item, str) else tuple(item) for item in entries]
        for member in members:
            name = member if isinstance(member, str) else member[0]
            if type(name) is not str or name.startswith("_"):
                raise ValueError(f"{name!r} cannot be the name of a member")
        mixin = options.get("type")
        if mixin is not None and not ownership.may_be_inherited(mixin):
            raise TypeError("this type cannot be inherited from")
        return native(cls, class_name, members, **options)

    _create_.is_hardened = True  # type: ignore[attr-defined] # a mark, so that it is done once
    enum.EnumMeta._create_ = _create_  # type: ignore[attr-defined] # private; the one place all calls pass
