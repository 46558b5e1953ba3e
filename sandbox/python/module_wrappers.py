"""Safe forms of what some modules offer: helpers that take attribute names as data, or trust the classes they get."""

import dataclasses
import email.utils
import enum
import functools
import operator
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Final

from sandbox.python import guards, ownership
from sandbox.python.names import Verdict, reading

_PLAIN_FIELD: Final = dict(vars(dataclasses.Field))


def _all_native(attributes: tuple[str, ...]) -> bool:
    return all(reading(part) is Verdict.NATIVE for attribute in attributes for part in attribute.split("."))


def _exact(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("attribute name must be a string")
    return str.__str__(value)


def attrgetter(*attributes: str) -> Callable[[Any], Any]:
    """operator.attrgetter, for the attributes that source code could read."""
    exact = tuple(map(_exact, attributes))
    if not exact or _all_native(exact):
        return operator.attrgetter(*exact)

    def get(obj: Any) -> Any:
        found = tuple(functools.reduce(guards.getattr, attribute.split("."), obj) for attribute in exact)
        return found if len(found) > 1 else found[0]

    return get


def methodcaller(name: str, /, *args: Any, **options: Any) -> Callable[[Any], Any]:
    """operator.methodcaller, for the methods that source code could call."""
    exact = _exact(name)
    if reading(exact) is Verdict.NATIVE:
        return operator.methodcaller(exact, *args, **options)
    return lambda obj: guards.getattr(obj, exact)(*args, **options)


def update_wrapper(wrapper: Any, wrapped: Any, *_names: Any, **_options: Any) -> Any:
    """functools.update_wrapper, for the attributes that it copies by default.

    Given other names it would copy any attribute to any object. What is no function gets the plain names only, since
    the `__dict__` of an object can be whatever its class says.
    """
    if type(wrapper) is types.FunctionType and type(wrapped) is types.FunctionType:
        return functools.update_wrapper(wrapper, wrapped)
    for name in ("__module__", "__name__", "__qualname__", "__doc__"):
        if hasattr(wrapped, name):
            setattr(wrapper, name, getattr(wrapped, name))
    return wrapper


def wraps(wrapped: Any, *_names: Any, **_options: Any) -> Callable[[Any], Any]:
    """functools.wraps, for the attributes that it copies by default."""
    return lambda wrapper: update_wrapper(wrapper, wrapped)


def singledispatch(func: Any) -> Any:
    """functools.singledispatch, without evaluating annotations that are strings."""
    dispatcher: Any = functools.singledispatch(func)
    native = dispatcher.register

    def register(cls: Any, func: Any = None) -> Any:
        if func is not None or isinstance(cls, type | types.UnionType):
            return native(cls, func)
        annotations = getattr(cls, "__annotations__", None)
        first = next(iter(annotations.values()), None) if type(annotations) is dict else None
        if not isinstance(first, type | types.UnionType):
            raise TypeError(
                "register() needs a class here: as its argument, or as the annotation of the first argument"
            )
        return native(first, cls)

    dispatcher.register = register
    return dispatcher


class singledispatchmethod(functools.singledispatchmethod):  # type: ignore[type-arg] # noqa: N801 - no parameters at run time; what tenant code sees its name is
    """functools.singledispatchmethod, on the dispatcher above."""

    def __init__(self, func: Any) -> None:
        super().__init__(func)
        self.dispatcher = singledispatch(func)


def total_ordering(cls: type) -> type:
    """functools.total_ordering, for the tenant's own classes."""
    if not ownership.is_own(cls):
        raise TypeError("total_ordering() can be used on your own classes only")
    return functools.total_ordering(cls)


def dataclass(cls: Any = None, /, **options: Any) -> Any:
    """dataclasses.dataclass, for the tenant's own classes.

    The real one writes the names of the fields into source text and executes it; so they are looked at first.
    """
    return _dataclass(cls, options) if cls is not None else lambda cls: _dataclass(cls, options)


def _dataclass(cls: Any, options: dict[str, Any]) -> type:
    if not isinstance(cls, type) or not ownership.is_own(cls):
        raise TypeError("dataclass() can be used on your own classes only")
    if any(vars(dataclasses.Field).get(name) is not value for name, value in _PLAIN_FIELD.items()):
        raise TypeError("dataclasses.Field was changed")
    for base in cls.__mro__:
        own = base.__dict__
        for name, field in own.get("__dataclass_fields__", {}).items():
            if type(field) is not dataclasses.Field or type(field.name) is not str or field.name != name:
                raise TypeError(f"the field {name!r} of {base.__name__} was changed")
        if not all(type(name) is str and name.isidentifier() for name in own.get("__annotations__", ())):
            raise TypeError("field names must be identifiers")
        if any(isinstance(value, dataclasses.Field) and type(value) is not dataclasses.Field for value in own.values()):
            raise TypeError("fields are made by dataclasses.field()")
    made: type = dataclasses.dataclass(**options)(cls)
    ownership.adopt(made)
    if "__match_args__" in made.__dict__:
        # A field may be called `_name` or `format`; a pattern must not read such an attribute off other objects.
        type.__setattr__(made, "__match_args__", ownership.native_match_args(made))
    return made


def get_origin(annotation: Any) -> Any:
    """typing.get_origin, which says `type` for `Type[…]`: ours, not the real one."""
    origin = typing.get_origin(annotation)
    return guards.type if isinstance(origin, type) and issubclass(origin, type) else origin


def make_msgid(idstring: str | None = None, domain: str = "localhost") -> str:
    """email.utils.make_msgid, without asking the network for the name of the machine."""
    return email.utils.make_msgid(idstring, domain)


WRAPPERS: Final[Mapping[str, Mapping[str, object]]] = {
    "dataclasses": {"dataclass": dataclass},
    "email.utils": {"make_msgid": make_msgid},
    "functools": {
        "singledispatch": singledispatch,
        "singledispatchmethod": singledispatchmethod,
        "total_ordering": total_ordering,
        "update_wrapper": update_wrapper,
        "wraps": wraps,
    },
    "operator": {"attrgetter": attrgetter, "methodcaller": methodcaller},
    "typing": {"get_origin": get_origin},
}
"""By module, what stands in place of the names of the same spelling."""


def harden() -> None:
    """Make `Enum("Name", {...})` refuse names with two underscores, in this whole process.

    The class itself has to be offered as it is, so that it can be inherited from, and its functional form would put
    whatever it is given into the new class: `__reduce_ex__`, say, by which `copy` can be made to set any attribute.
    """
    native: Any = enum.EnumMeta._create_  # type: ignore[attr-defined] # private; the one place all calls pass
    if getattr(native, "is_hardened", False):
        return

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
