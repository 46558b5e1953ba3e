"""Which names tenant code may use: the rules that the compiler applies to source and the guards to strings.

Almost every attribute can be decided by its name alone, so the compiler leaves the native instruction there and a
program pays nothing. What a name cannot decide is left to a guard at run time, see `sandbox.python.guards`.
"""

import types
from enum import Enum
from typing import Final

from RestrictedPython.transformer import INSPECT_ATTRIBUTES

from sandbox.python.words import words

HOOK_PREFIX: Final = "__skep_"
"""Our own names. Tenant code can neither bind nor read a name that begins like this."""

FILENAME_PREFIX: Final = "<skep:"
"""How the filename of tenant code begins: `<skep:hello>`."""

RESERVED: Final = frozenset({"parameters", "cache", "log", "fetch", "env", "secrets", "context", "print"})
"""Names that are in scope of every body. A body may hide them for itself, not rebind them for its siblings."""


class Verdict(Enum):
    """What a name says about an attribute."""

    NATIVE = "nothing to check"
    PRIVATE = "one leading underscore: or `ATTACHABLE`: only on the tenant's own classes and their objects"
    GUARDED = "useful, but only in a form that is safe"
    REFUSED = "never"


DEFINABLE: Final = frozenset(
    words("""
    __init__ __new__ __post_init__ __repr__ __str__ __bytes__ __format__ __lt__ __le__ __eq__ __ne__ __gt__ __ge__
    __hash__ __bool__ __call__ __len__ __length_hint__ __getitem__ __setitem__ __delitem__ __missing__ __iter__
    __next__ __reversed__ __contains__ __add__ __sub__ __mul__ __matmul__ __truediv__ __floordiv__ __mod__ __divmod__
    __pow__ __lshift__ __rshift__ __and__ __xor__ __or__ __radd__ __rsub__ __rmul__ __rmatmul__ __rtruediv__
    __rfloordiv__ __rmod__ __rdivmod__ __rpow__ __rlshift__ __rrshift__ __rand__ __rxor__ __ror__ __iadd__ __isub__
    __imul__ __imatmul__ __itruediv__ __ifloordiv__ __imod__ __ipow__ __ilshift__ __irshift__ __iand__ __ixor__
    __ior__ __neg__ __pos__ __abs__ __invert__ __complex__ __int__ __float__ __index__ __round__ __trunc__ __floor__
    __ceil__ __enter__ __exit__ __aenter__ __aexit__ __await__ __aiter__ __anext__ __getattr__ __setattr__
    __delattr__ __dir__ __get__ __set__ __delete__ __set_name__ __init_subclass__ __class_getitem__ __copy__
    __deepcopy__ __replace__ __slots__ __doc__
    """)
)
"""Dunder names a class body may bind. Missing on purpose: `__del__` (what it raises is swallowed, a deadline too),
`__getattribute__` (it would hear every name that trusted code asks an object for), `__reduce__` and its kin (`copy`
sets attributes of any name from what they return), and whatever changes what an object is: `__class__`, `__dict__`."""

ATTACHABLE: Final = DEFINABLE - frozenset(
    words("""
    __new__ __getattr__ __setattr__ __delattr__ __dir__ __get__ __set__ __delete__ __set_name__ __init_subclass__
    __class_getitem__ __copy__ __deepcopy__ __replace__ __slots__ __doc__
    """)
)
"""Of these, the ones that may be set on a tenant's own class after it was made, as class decorators do."""

LOCAL: Final = ATTACHABLE | frozenset(words("__all__ __author__ __date__ __license__ __version__"))
"""Dunder names that may be local ones: methods on their way to a class, and what scripts say about themselves."""

MATCH_ARGS: Final = "__match_args__"
"""Positional patterns read whatever attributes this names, so it may only be a literal that can be checked."""

OWN_METHODS: Final = frozenset(
    words("__get__ __set__ __delete__ __set_name__ __init__ __new__ __getattr__ __copy__ __deepcopy__ __replace__")
)
"""What the language calls by itself. Called by name on a library's object, it would read or change any attribute of
any object (`functools.cached_property.__get__`), or make an object anew under those who share it."""

FUTURE_METHODS: Final = frozenset({"add_done_callback", "remove_done_callback", "set_result", "set_exception"})
"""What asyncio would run on behalf of no run. Classes of the tenant's may well have methods of these names."""

GUARDED: Final = (
    frozenset({"format", "format_map", "__class__", "__dict__", "__setattr__", "__delattr__", "__getattribute__"})
    | {"__annotations__"}
    # Views of a library's own dict, which `view | other` hands to `other`.
    | {"__members__", "groupindex"}
    | OWN_METHODS
    | FUTURE_METHODS
)
"""Attributes that are replaced by a safe form when they are read."""

READABLE: Final = (DEFINABLE - GUARDED) | frozenset(
    {"__name__", "__qualname__", "__module__", "__cause__", "__context__", "__suppress_context__", "__notes__"}
    | {MATCH_ARGS}
)
"""Dunder attributes that may be read natively."""

STORABLE: Final = frozenset({"__name__", "__qualname__", "__doc__", "__cause__", "__context__"})
"""Dunder attributes that may be written: what decorators and exceptions are given."""

NATIVE_PRIVATE: Final = frozenset(
    {"_asdict", "_replace", "_fields", "_make", "_field_defaults"}
    | {"_value_", "_name_", "_ignore_", "_order_", "_missing_", "_generate_next_value_"}
)
"""What namedtuples and enums document under names with one underscore; harmless on every object."""


def _inspection_names() -> frozenset[str]:
    looked_into = {
        types.FrameType: "f_",
        types.CodeType: "co_",
        types.TracebackType: "tb_",
        types.GeneratorType: "gi_",
        types.CoroutineType: "cr_",
        types.AsyncGeneratorType: "ag_",
    }
    return frozenset(name for cls, prefix in looked_into.items() for name in dir(cls) if name.startswith(prefix))


REFUSED: Final = (
    INSPECT_ATTRIBUTES
    | _inspection_names()
    | {"mro", "func_globals", "func_code", "func_closure", "func_defaults", "func_dict", "func_name"}
    # A task or a lock leads to the event loop, and that to processes and sockets.
    | {"get_loop", "get_coro", "get_stack", "print_stack", "get_context"}
    # The factory of an email policy makes subclasses of any class that it is given.
    | {"header_factory", "map_to_type"}
)
"""Attributes that lead out of a value into the machinery that runs it."""

NEVER_RECENT: Final = frozenset({"_abc_impl", "_is_protocol", "_is_runtime_protocol"})
"""What ABC, Generic and Protocol keep in classes that ordinary code inherits from: for these the guard is always asked,
so that for every other name it need not be."""

UNSAFE_TO_COMBINE: Final = GUARDED
"""Read and written in one instruction, these could not be replaced; so they are refused there."""


def reading(name: str) -> Verdict:
    """May an attribute of this name be read?"""
    if not name.startswith("_"):
        if name in REFUSED:
            return Verdict.REFUSED
        return Verdict.GUARDED if name in GUARDED else Verdict.NATIVE
    if name in NATIVE_PRIVATE or name in READABLE:
        return Verdict.NATIVE
    if name in GUARDED:
        return Verdict.GUARDED
    return Verdict.REFUSED if name.startswith("__") else Verdict.PRIVATE


def writing(name: str) -> Verdict:
    """May an attribute of this name be set or deleted?"""
    if name in ATTACHABLE:
        return Verdict.PRIVATE
    if name.startswith("__"):
        return Verdict.NATIVE if name in STORABLE else Verdict.REFUSED
    if name in REFUSED:
        return Verdict.REFUSED
    return Verdict.PRIVATE if name.startswith("_") and name not in NATIVE_PRIVATE else Verdict.NATIVE


def advice(name: str) -> str:
    """What to do instead of using a refused attribute, as the end of a sentence."""
    if name in _ADVICE:
        return _ADVICE[name]
    if name in DEFINABLE:
        return "define it in the class body"
    if name.startswith("__"):
        return "of the names with two underscores only the ordinary ones of the data model can be used"
    return "what runs a function cannot be inspected from within it"


_ADVICE: Final = {
    "__dict__": "use vars(obj)",
    "__class__": "use type(obj)",
    "__bases__": "use isinstance() or issubclass()",
    "__mro__": "use isinstance() or issubclass()",
    "mro": "use isinstance() or issubclass()",
    "__subclasses__": "keep a list in __init_subclass__",
    "__annotations__": "annotate names in the class body",
    "__dataclass_fields__": "use dataclasses.fields()",
    "__traceback__": "use traceback.format_exc()",
    "__del__": "use a context manager or try/finally",
    "__wrapped__": "keep the function you wrapped under a name of your own",
    "__self__": "keep the object under a name of your own",
    "__func__": "keep the function under a name of your own",
    "get_coro": "keep the coroutine under a name of your own",
    "__getattribute__": "define __getattr__",
    "header_factory": "pass EmailPolicy(header_factory=…) a function of your own",
    **dict.fromkeys(FUTURE_METHODS, "await the task, or use an asyncio.Event or asyncio.Queue"),
    "__init__": "call the class",
    "__new__": "call the class",
    "__copy__": "use copy.copy",
    "__deepcopy__": "use copy.deepcopy",
    "__replace__": "use copy.replace or dataclasses.replace",
    MATCH_ARGS: "assign a tuple of plain attribute names, written out, in the class body",
}


def mangled(name: str, class_name: str | None) -> str:
    """The name Python makes of `__name` inside a class; any other name as it is."""
    if class_name is None or not name.startswith("__") or name.endswith("__") or name.startswith(HOOK_PREFIX):
        return name
    stripped = class_name.lstrip("_")
    return f"_{stripped}{name}" if stripped else name
