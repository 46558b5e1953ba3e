"""Safe forms of what some modules offer: helpers that take attribute names as data, or trust the classes they get."""

import copy
import dataclasses
import email.utils
import functools
import operator
import types
import typing
import weakref
from collections.abc import Callable, Mapping
from typing import Any, Final

from sandbox.python import guards, ownership, safe_copy
from sandbox.python.names import FILENAME_PREFIX, Verdict, reading
from sandbox.python.own_methods import of_objects

_GENERATED: Final = (
    "__init__",
    "__repr__",
    "__eq__",
    "__lt__",
    "__le__",
    "__gt__",
    "__ge__",
    "__hash__",
    "__replace__",
)


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
        return functools.update_wrapper(wrapper, wrapped, ("__name__", "__qualname__", "__doc__"))
    # Not `__module__`: libraries look the module of a class up by this name.
    for name in ("__name__", "__qualname__", "__doc__"):
        if hasattr(wrapped, name):
            setattr(wrapper, name, getattr(wrapped, name))
    return wrapper


def wraps(wrapped: Any, *_names: Any, **_options: Any) -> Callable[[Any], Any]:
    """functools.wraps, for the attributes that it copies by default."""
    return lambda wrapper: update_wrapper(wrapper, wrapped)


class cached_property:  # noqa: N801 - what tenant code sees its name is
    """functools.cached_property, for objects of the tenant's own and under the one name it has in their class.

    The real one has an attribute that says which item of the object's `__dict__` it gives, whatever the object.
    """

    __slots__ = ("_func", "_name")

    def __init__(self, func: Callable[[Any], Any]) -> None:
        self._func = func
        self._name: str | None = None

    def __set_name__(self, _owner: type, name: object) -> None:
        if type(name) is not str or reading(name) not in {Verdict.NATIVE, Verdict.PRIVATE}:
            raise TypeError(f"{name!r} cannot be the name of a cached_property")
        if self._name not in {None, name}:
            raise TypeError(f"cannot assign the same cached_property to two names ({self._name!r} and {name!r})")
        self._name = name

    def __get__(self, obj: Any, owner: type | None = None) -> Any:
        if obj is None:
            return self
        name = self._name
        if name is None:
            raise TypeError("cannot use a cached_property that was not assigned in a class body")
        if not ownership.is_own(type(obj)):
            raise TypeError("cached_property is for objects of your own classes")
        if reading(name) is Verdict.PRIVATE:
            ownership.private(obj, name)
        kept = vars(obj)
        if name not in kept:
            kept[name] = self._func(obj)
        return kept[name]

    __class_getitem__: Any = classmethod(types.GenericAlias)


def _no_callback(make: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(make, ("__name__", "__qualname__", "__doc__"), ())
    def made(obj: Any, callback: None = None) -> Any:
        if callback is not None:
            raise TypeError("callbacks of weak references are not offered: look whether the reference is None")
        return make(obj)

    return made


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
    for base in cls.__mro__:
        own = base.__dict__
        for name, field in own.get("__dataclass_fields__", {}).items():
            if type(field) is not dataclasses.Field or type(field.name) is not str or field.name != name:
                raise TypeError(f"the field {name!r} of {base.__name__} was changed")
        if not all(type(name) is str and name.isidentifier() for name in own.get("__annotations__", ())):
            raise TypeError("field names must be identifiers")
        if any(isinstance(value, dataclasses.Field) and type(value) is not dataclasses.Field for value in own.values()):
            raise TypeError("fields are made by dataclasses.field()")
    return _sealed(dataclasses.dataclass(**options)(cls))


def _sealed(made: type) -> type:
    ownership.freeze_slots(made)
    ownership.adopt(made)
    ownership.check_fields(made)
    known = made.__dict__["__dataclass_fields__"]
    for name, field in known.items():
        if type(field.name) is not str or field.name != name:
            raise TypeError(f"the field {name!r} of {made.__name__} was changed")
        # What field() returned is still the tenant's to change, and every helper reads attributes by these names.
        known[name] = copy.copy(field)
    _keep_generated_to_objects(made)
    if "__match_args__" in made.__dict__:
        # A field may be called `_name` or `format`; a pattern must not read such an attribute off other objects.
        type.__setattr__(made, "__match_args__", ownership.native_match_args(made))
    return made


def _keep_generated_to_objects(made: type) -> None:
    """Let the methods that `dataclasses` wrote refuse objects of other classes, where that matters.

    They read every field natively, of whatever they are called on (`D.__eq__(event, event)` with a field `_loop`), and
    the `__init__` of a frozen one sets attributes past any `__setattr__`. Public fields anybody may read and set.
    """
    is_frozen = "__setattr__" in made.__dict__
    if not is_frozen and all(reading(name) is Verdict.NATIVE for name in made.__dict__["__dataclass_fields__"]):
        return
    for name in _GENERATED:
        function = made.__dict__.get(name)
        if isinstance(function, types.FunctionType) and not function.__code__.co_filename.startswith(FILENAME_PREFIX):
            type.__setattr__(made, name, of_objects(made, function))


def fields(class_or_instance: Any) -> tuple[Any, ...]:
    """dataclasses.fields; copies, which are the caller's to change."""
    return tuple(map(copy.copy, dataclasses.fields(class_or_instance)))


def get_origin(annotation: Any) -> Any:
    """typing.get_origin, which says `type` for `Type[…]`: ours, not the real one."""
    origin = typing.get_origin(annotation)
    return guards.type if isinstance(origin, type) and issubclass(origin, type) else origin


def make_msgid(idstring: str | None = None, domain: str = "localhost") -> str:
    """email.utils.make_msgid, without asking the network for the name of the machine."""
    return email.utils.make_msgid(idstring, domain)


WRAPPERS: Final[Mapping[str, Mapping[str, object]]] = {
    "abc": {"ABCMeta": guards.ABC_META},
    "copy": {"copy": safe_copy.copy, "deepcopy": safe_copy.deepcopy}
    | ({"replace": safe_copy.replace} if hasattr(copy, "replace") else {}),
    "dataclasses": {"dataclass": dataclass, "fields": fields},
    "email.utils": {"make_msgid": make_msgid},
    "functools": {
        "cached_property": cached_property,
        "singledispatch": singledispatch,
        "singledispatchmethod": singledispatchmethod,
        "total_ordering": total_ordering,
        "update_wrapper": update_wrapper,
        "wraps": wraps,
    },
    "operator": {"attrgetter": attrgetter, "methodcaller": methodcaller},
    "typing": {"get_origin": get_origin},
    "weakref": {
        "ref": _no_callback(weakref.ref),
        "proxy": _no_callback(weakref.proxy),
        "WeakMethod": _no_callback(weakref.WeakMethod),
    },
}
"""By module, what stands in place of the names of the same spelling."""
