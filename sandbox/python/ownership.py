"""Which classes are the tenant's own, and which of their attributes are theirs to use.

Names with one leading underscore are how ordinary code says "internal". On a tenant's own objects they mean nothing to
us; on objects of a library they are the way in (`lock._loop`, `task._coro`). A name cannot tell the two apart, so these
attributes are guarded at run time by asking whether the class is one that tenant code made.
"""

import asyncio.mixins
import enum
import sys
import types
import typing
from email.policy import Policy
from functools import partial
from typing import Any, Final
from weakref import ref

from sandbox.python.names import ATTACHABLE, NEVER_RECENT, Verdict, reading
from sandbox.python.words import words

_OPEN_MODULES: Final = frozenset(
    words("""
    builtins abc enum typing collections collections.abc _collections_abc numbers decimal fractions datetime string
    random _random json.encoder json.decoder html.parser _markupbase csv textwrap contextlib io _io queue types
    """)
)
"""Modules whose classes keep nothing in an instance's private attributes that leads further in."""

_ALIASES: Final = (types.GenericAlias, type(typing.Iterable[int]), type(typing.List))  # noqa: UP006 - its type is wanted
_SELF: Final[Any] = vars(super)["__self__"].__get__
_SELF_CLASS: Final[Any] = vars(super)["__self_class__"].__get__
_NEVER_BASES: Final = (
    # What they make stands for another object, and the rules ask for the exact class.
    *(type, super, types.GenericAlias, ref),
    # They hand what nobody may have to whatever a subclass overrides: a lock stores the event loop in an attribute,
    # which can be a descriptor; `policy + other` calls `clone` with the `__dict__` of `other`.
    *(asyncio.mixins._LoopBoundMixin, Policy),  # noqa: SLF001 - the one base of locks and queues
    # From 3.12 on it reads any attribute of its enum's values, by a name that is kept in a public attribute.
    enum.property,
)
_SLOTS_TYPES: Final = (str, tuple, list, set, frozenset, dict)
_SPECIAL_BASES: Final = (typing.NamedTuple, typing.TypedDict)

# By weak reference, so that a class made in a run goes when the run does: the private names that classes of a library
# define in its bases. None if an instance may hold things of the library in attributes we cannot know.
_own: dict["ref[type]", frozenset[str] | None] = {}
_watches: dict["ref[type]", "ref[type]"] = {}
_offered: set[type] = {object}

RECENT: Final[set[type]] = set()
"""Some of the tenant's own classes: those that keep nothing of a library under a private name but `NEVER_RECENT`.
Compiled code looks in here before it calls `private`. By strong reference, hence few, and forgotten with every run."""
_RECENT_MAX: Final = 64


def bound_to(obj: Any) -> Any:
    """What a `super()` stands for; any other object as it is."""
    return _SELF(obj) if type(obj) is super else obj


def offer(cls: type) -> None:
    """Let tenant code inherit from this class."""
    _offered.add(cls)


def is_offered(cls: type) -> bool:
    """Was this class given to tenant code under a name?"""
    return cls in _offered


def freeze_slots(cls: type) -> None:
    """Make `__slots__` of a new class a tuple: `copy` reads the attributes that it names, whenever it is asked to.

    Raises: TypeError for names with two underscores, and for a collection that could name others each time.
    """
    slots = cls.__dict__.get("__slots__")
    if slots is None:
        return
    if type(slots) not in _SLOTS_TYPES:
        raise TypeError("__slots__ must be a string or a tuple of strings, written out")
    found = (slots,) if isinstance(slots, str) else tuple(slots)
    names = tuple(str.__str__(name) for name in found if isinstance(name, str))
    for name in names:
        if name.startswith("__") and name.endswith("__") and name not in {"__dict__", "__weakref__"}:
            raise TypeError(f"{name!r} cannot be a slot")
    type.__setattr__(cls, "__slots__", names)


def keeps_internals(cls: type) -> bool:
    """May objects of this class of the tenant's hold things of a library?"""
    return _own.get(ref(cls)) is None


def is_own(cls: type) -> bool:
    """Was this class made by tenant code?"""
    return ref(cls) in _own


def is_own_enum(cls: type) -> bool:
    """Is this an enum of the tenant's? It makes its members before its class statement has ended and `adopt` is called.

    A namespace of tenant code has the name of no module, so no class of a library is taken for one.
    """
    return issubclass(cls, enum.Enum) and cls.__module__ not in sys.modules


def adopt(cls: type) -> None:
    """Note that tenant code made this class."""
    # This reference is the one that `ref(cls)` gives from now on, so a lookup allocates nothing.
    key = ref(cls)
    foreign = [base for base in cls.__mro__[1:] if not is_own(base)]
    if all(base.__module__ in _OPEN_MODULES or _is_generated(base) for base in foreign):
        _own[key] = frozenset(
            name for base in foreign for name in base.__dict__ if name.startswith("_") and not name.startswith("__")
        )
    else:
        _own[key] = None
    _watches[key] = ref(cls, partial(_forget, key))


def check_fields(cls: type) -> None:
    """Raise TypeError if a dataclass of the tenant's has a field under whose name a library keeps something.

    `dataclasses` reads the fields of an object natively and hands them to the tenant's own `__eq__` and `__init__`.
    """
    for base in cls.__mro__:
        for name in base.__dict__.get("__dataclass_fields__", ()):
            if reading(name) is not Verdict.NATIVE and _is_of_a_library(cls, name):
                raise TypeError(f"{name!r} cannot be a field of {cls.__name__}: it is a name of one of its bases")


def _is_of_a_library(cls: type, name: str) -> bool:
    private = _own.get(ref(cls))
    if private is None or name in private:
        return True
    return any(name in base.__dict__ for base in cls.__mro__ if base is not object and not is_own(base))


def _forget(key: "ref[type]", _watch: "ref[type]") -> None:
    _own.pop(key, None)
    _watches.pop(key, None)


def _is_generated(cls: type) -> bool:
    """A namedtuple, made at run time: a tuple with fields."""
    return cls.__bases__ == (tuple,) and "_fields" in cls.__dict__


def may_be_inherited(base: object) -> bool:
    """May a class of the tenant have this base? Only its own classes, and those that are offered under a name.

    Every other class can be reached through `type(x)`, and some can be turned against the code that trusts them.
    """
    if isinstance(base, type):
        if issubclass(base, _NEVER_BASES):
            return False
        return (base in _offered or is_own(base) or _is_generated(base)) and _has_native_match_args(base)
    # By exact type: an object of the tenant's could say one thing here and another when the class is made.
    if type(base) in _ALIASES:
        return may_be_inherited(getattr(base, "__origin__", None))
    return any(base is special for special in _SPECIAL_BASES)


def native_match_args(cls: type) -> tuple[str, ...]:
    """As much of a class's own `__match_args__` as patterns may read natively. Field names can be data."""
    fields = cls.__dict__.get("__match_args__", ())
    if type(fields) is not tuple:
        return ()
    for index, name in enumerate(fields):
        if type(name) is not str or reading(name) is not Verdict.NATIVE:
            return fields[:index]
    return fields


def _has_native_match_args(base: type) -> bool:
    return all(native_match_args(cls) == cls.__dict__.get("__match_args__", ()) for cls in base.__mro__)


def private(obj: Any, name: str, /) -> Any:
    """The object, if tenant code may use its attribute of this name. Raises: AttributeError."""
    refused = _own.get(ref(type(obj)))
    if refused is not None and name not in refused:
        if refused <= NEVER_RECENT:
            _remember(type(obj))
        return obj
    if is_open(obj, name):
        return obj
    if name in ATTACHABLE:
        raise AttributeError(f"the attribute {name!r} can be set on your own classes only")
    raise AttributeError(
        f"the attribute {name!r} of {type(obj).__name__!r} objects is internal to their library: use a public one"
    )


def _remember(cls: type) -> None:
    if len(RECENT) >= _RECENT_MAX:
        RECENT.clear()
    RECENT.add(cls)


def forget_recent() -> None:
    """Let go of classes that may have been made in a run that is over."""
    RECENT.clear()


def _has(cls: type, name: str) -> bool:
    return any(name in base.__dict__ for base in cls.__mro__)


def is_open(obj: Any, name: str) -> bool:
    """May tenant code use this private attribute of what is no object of its own classes?"""
    if name in ATTACHABLE:
        return isinstance(obj, type) and is_own(obj)
    if isinstance(obj, type):
        # A class also has what its metaclass has, and that is never the tenant's: `_convert_` of enums reads modules.
        refused = None if _has(type(obj), name) else _own.get(ref(obj))
    elif type(obj) is super:
        refused = _own.get(ref(_SELF_CLASS(obj)))
    else:
        # Functions and namespaces carry nothing there but what somebody put there.
        return isinstance(obj, types.FunctionType) or type(obj) is types.SimpleNamespace
    return refused is not None and name not in refused
