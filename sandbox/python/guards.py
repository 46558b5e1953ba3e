"""What compiled code calls at run time, where a name in the source could not decide.

`getattr` and its kin apply to strings the same rules that the compiler applies to source. `type` is a stand-in that
tells the type of an object and does nothing else, because the real one makes classes from a dict of any names.
"""

import abc
import builtins
import inspect
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any, Final

from sandbox.python import names, ownership
from sandbox.python.names import FILENAME_PREFIX, Verdict
from sandbox.python.safe_format import made_safe
from sandbox.python.shown_classes import shown_class

_MISSING: Final = object()


class _TypeMeta(builtins.type):
    """Makes the stand-in behave as `type` does where ordinary code uses it."""

    def __call__(cls, *args: Any, **options: Any) -> Any:
        if len(args) != 1 or options:
            raise TypeError("type() takes one argument here: write a class statement to make a class")
        return type_of(args[0])

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, builtins.type)

    def __subclasscheck__(cls, subclass: builtins.type) -> bool:
        return issubclass(subclass, builtins.type)

    def __getitem__(cls, item: Any) -> types.GenericAlias:
        return types.GenericAlias(cls, item)

    def __repr__(cls) -> str:
        return "<class 'type'>"


class type(metaclass=_TypeMeta):  # noqa: A001, N801 - what tenant code sees its name is
    """The `type` of tenant code."""

    __slots__ = ()


class _AbcMeta:
    """Stands for `abc.ABCMeta` in class statements; the real one makes classes from a dict of any names."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<class 'abc.ABCMeta'>"


ABC_META: Final = _AbcMeta()


def type_of(obj: object) -> object:
    """The class of an object; for a class, the stand-in, whatever its metaclass."""
    cls = builtins.type(obj)
    return type if issubclass(cls, builtins.type) else shown_class(cls)


def _plain(name: object) -> str:
    """An exact string, so that it cannot say something else when it is asked again."""
    if not isinstance(name, str):
        raise TypeError(f"attribute name must be string, not {builtins.type(name).__name__!r}")
    return str.__str__(name)


def guarded_attribute(obj: Any, name: str, /) -> Any:  # noqa: PLR0911 - a table of names, a line each
    """The safe form of an attribute in `names.GUARDED`. Raises: AttributeError."""
    match name:
        case "__class__":
            return type_of(obj)
        case "__dict__":
            return _dict_of(obj)
        case "format" | "format_map":
            return made_safe(builtins.getattr(obj, name), name)
        case "__annotations__":
            return _annotations_of(obj)
        case "__setattr__":
            return _checked_method(obj, name, names.writing, name_at=-2)
        case "__delattr__":
            return _checked_method(obj, name, names.writing, name_at=-1)
        case "__getattribute__":
            return _checked_method(obj, name, names.reading, name_at=-1)
        case "__members__" | "groupindex":
            found = builtins.getattr(obj, name)
            return types.MappingProxyType(dict(found)) if builtins.type(found) is types.MappingProxyType else found
        case _ if name in names.FUTURE_METHODS:
            return _future_method(obj, name)
        case _:
            return _own_method(obj, name)


def _dict_of(obj: Any) -> Any:
    try:
        return variables(obj)
    except TypeError as error:
        # `hasattr(obj, "__dict__")` asks, and an attribute that is not there is no other error.
        raise AttributeError(str(error)) from None


def _annotations_of(obj: Any) -> dict[str, Any]:
    """A copy of the annotations of one of the tenant's own classes, objects or functions. Raises: AttributeError."""
    if isinstance(obj, types.FunctionType):
        # A namespace of tenant code has the name of no module.
        if obj.__module__ not in sys.modules:
            return inspect.get_annotations(obj)
    elif isinstance(obj, builtins.type):
        if ownership.is_own(obj):
            return inspect.get_annotations(obj)
    else:
        annotated = (cls for cls in builtins.type(obj).__mro__ if "__annotations__" in cls.__dict__)
        if (cls := next(annotated, None)) is not None and ownership.is_own(cls):
            return inspect.get_annotations(cls)
    raise AttributeError("the attribute '__annotations__' can be read of your own classes and functions only")


def _future_method(obj: Any, name: str) -> Any:
    cls = obj if isinstance(obj, builtins.type) else builtins.type(ownership.bound_to(obj))
    if not ownership.is_own(cls) and cls.__module__.partition(".")[0] in {"asyncio", "_asyncio", "uvloop"}:
        raise AttributeError(f"the attribute {name!r} of {cls.__name__!r} cannot be used: {names.advice(name)}")
    return builtins.getattr(obj, name)


def _own_method(obj: Any, name: str) -> Any:
    """`obj.__init__` and the like: natively on the tenant's own objects, checked on classes that can be its bases."""
    subject = ownership.bound_to(obj)
    if not isinstance(obj, builtins.type):
        cls = subject if isinstance(subject, builtins.type) else builtins.type(subject)
        # Binding a function by hand is harmless: `f.__get__(obj)`.
        bound_by_hand = name == "__get__" and cls is types.FunctionType
        if bound_by_hand or ownership.is_own(cls) or (name == "__new__" and ownership.is_own_enum(cls)):
            return builtins.getattr(obj, name)
        raise AttributeError(_own_only(name))
    if ownership.is_own(next((base for base in obj.__mro__ if name in base.__dict__), obj)):
        return builtins.getattr(obj, name)
    native = builtins.getattr(obj, name)

    def checked(*args: Any, **options: Any) -> Any:
        first = args[0] if args else None
        # `Base.__init__(self)` and `Base.__new__(cls)`.
        cls = first if isinstance(first, builtins.type) else builtins.type(first)
        if not (ownership.is_own(cls) or (name == "__new__" and ownership.is_own_enum(cls))):
            raise AttributeError(_own_only(name))
        return native(*args, **options)

    return checked


def _own_only(name: str) -> str:
    return f"{name} can be used on objects of your own classes only: {names.advice(name)}"


def _checked_method(obj: Any, method: str, rule: Callable[[str], Verdict], *, name_at: int) -> Callable[..., Any]:
    """`obj.__setattr__` and the like, for the tenant's own objects and names that source code could use on them."""
    native = builtins.getattr(obj, method)

    def checked(*args: Any) -> Any:
        if len(args) < -name_at:
            return native(*args)
        name = _plain(args[name_at])
        bound_to = ownership.bound_to(obj)
        subject = args[0] if len(args) > -name_at else bound_to
        if not ownership.is_own(builtins.type(subject)):
            raise AttributeError(f"{method} can be used on objects of your own classes only")
        if rule(name) not in {Verdict.NATIVE, Verdict.PRIVATE}:
            raise AttributeError(f"the attribute {name!r} cannot be used: {names.advice(name)}")
        if rule(name) is Verdict.PRIVATE:
            ownership.private(subject, name)
        exact = list(args)
        exact[name_at] = name
        return native(*exact)

    return checked


def _readable(obj: Any, name: str) -> Any:
    match names.reading(name):
        case Verdict.NATIVE:
            return builtins.getattr(obj, name)
        case Verdict.PRIVATE:
            return builtins.getattr(ownership.private(obj, name), name)
        case Verdict.GUARDED:
            return guarded_attribute(obj, name)
        case Verdict.REFUSED:
            raise AttributeError(f"the attribute {name!r} cannot be read: {names.advice(name)}")


def getattr(obj: Any, name: str, default: Any = _MISSING, /) -> Any:  # noqa: A001 - what tenant code sees its name is
    """getattr for the attributes that source code could read."""
    if default is _MISSING:
        return _readable(obj, _plain(name))
    try:
        return _readable(obj, _plain(name))
    except AttributeError:
        return default


def hasattr(obj: Any, name: str, /) -> bool:  # noqa: A001 - what tenant code sees its name is
    """hasattr for the attributes that source code could read."""
    try:
        _readable(obj, _plain(name))
    except AttributeError:
        return False
    return True


def _writable(obj: Any, name: str) -> None:
    match names.writing(name):
        case Verdict.PRIVATE:
            ownership.private(obj, name)
        case Verdict.REFUSED | Verdict.GUARDED:
            raise AttributeError(f"the attribute {name!r} cannot be set: {names.advice(name)}")
        case Verdict.NATIVE:
            pass


def setattr(obj: Any, name: str, value: Any, /) -> None:  # noqa: A001 - what tenant code sees its name is
    """setattr for the attributes that source code could set."""
    name = _plain(name)
    _writable(obj, name)
    builtins.setattr(obj, name, value)


def delattr(obj: Any, name: str, /) -> None:  # noqa: A001 - what tenant code sees its name is
    """delattr for the attributes that source code could delete."""
    name = _plain(name)
    _writable(obj, name)
    builtins.delattr(obj, name)


def variables(obj: Any = _MISSING, /) -> Mapping[str, Any]:
    """The attributes of one of the tenant's own objects, as a dict that writes through; those of a class, to read.

    Raises: TypeError.
    """
    if obj is _MISSING:
        raise TypeError("vars() needs an object here: the local names of a function are not offered as a dict")
    cls = builtins.type(obj)
    if isinstance(obj, builtins.type) and ownership.is_own(obj):
        return types.MappingProxyType(
            {name: value for name, value in obj.__dict__.items() if _is_shown(obj, name, value)}
        )
    if ownership.is_own(cls):
        ownership.private(obj, "_")  # a class that keeps a library's objects in its instances does not show them
    if ownership.is_own(cls) or cls is types.SimpleNamespace:
        attributes: dict[str, Any] = vars(obj)
        return attributes
    raise TypeError(
        f"vars() argument must be an object of one of your own classes, not {builtins.type(obj).__name__!r}"
    )


def _is_shown(cls: builtins.type, name: str, value: object) -> bool:
    """May tenant code see this entry of its own class's dict? A copy of it holds what `cls.name` would give anyway."""
    match names.reading(name):
        case Verdict.NATIVE:
            return True
        case Verdict.PRIVATE:
            return ownership.is_open(cls, name)
        case Verdict.GUARDED:
            # What a library put there (the `__setattr__` of a frozen dataclass) is not as `cls.name` would give it.
            return isinstance(value, types.FunctionType) and value.__code__.co_filename.startswith(FILENAME_PREFIX)
        case _:
            return False


def dir(*args: Any) -> list[str]:  # noqa: A001 - what tenant code sees its name is
    """The names of an object that source code could read."""
    if len(args) != 1:
        raise TypeError("dir() needs an object here: the names in scope are not offered as a list")
    return [name for name in builtins.dir(args[0]) if names.reading(name) is not Verdict.REFUSED]


def build_class(body: Any, name: str, /, *bases: Any, **options: Any) -> Any:
    """A `class` statement. Raises: TypeError for a base that is not offered, and for metaclasses."""
    if "metaclass" in options:
        if options.pop("metaclass") is not ABC_META:
            raise TypeError("metaclasses are not offered: use __init_subclass__ or a class decorator")
        if not any(isinstance(base, abc.ABCMeta) for base in bases):
            bases = (*(base for base in bases if base is not object), abc.ABC)
    for base in bases:
        if not ownership.may_be_inherited(base):
            shown = base.__name__ if isinstance(base, builtins.type) else builtins.type(base).__name__
            raise TypeError(f"{shown!r} cannot be inherited from: only your own classes and those a module offers can")
    cls = builtins.__build_class__(body, name, *bases, **options)
    if isinstance(cls, builtins.type):
        ownership.freeze_slots(cls)
        ownership.adopt(cls)
        ownership.check_fields(cls)
    return cls
