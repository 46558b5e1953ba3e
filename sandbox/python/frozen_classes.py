"""Makes classes of the standard library as immutable as those written in C.

Setting a public attribute is a native instruction in tenant code, whatever the object is. On a class of a library that
would change what trusted code does: `Field.name`, say, which `dataclasses` writes into source text and executes.
CPython refuses to set attributes of a class that carries Py_TPFLAGS_IMMUTABLETYPE (Include/object.h, since 3.10); there
is no call that gives a class this flag after it was made, so the word of flags is written to. Costs nothing in a run.
"""

import ctypes
import sys
from collections.abc import Collection, Iterable, Iterator
from typing import Final

_IMMUTABLE: Final = 1 << 8
_TYPE_BYTES: Final = object.__sizeof__(type)
_PROBES: Final = (object, type, int, dict, Exception, ctypes.Structure)


def _flags_offset_bytes() -> int:
    """Where in a type object the word is that `__flags__` shows. Raises: RuntimeError if nothing fits."""
    word = ctypes.sizeof(ctypes.c_ulong)
    for offset in range(0, _TYPE_BYTES, word):
        if all(ctypes.c_ulong.from_address(id(cls) + offset).value == cls.__flags__ for cls in _PROBES):
            return int(offset)
    raise RuntimeError("this interpreter keeps the flags of a class where they cannot be found")


def classes_of(roots: Collection[str]) -> Iterator[type]:
    """Every class that now exists in these top-level modules and their C halves (`_json` for `json`)."""
    wanted = {*roots, *(f"_{root}" for root in roots)}
    return (cls for cls in _all_classes() if _module(cls).partition(".")[0] in wanted)


def freeze_classes(roots: Collection[str]) -> None:
    """Freeze `classes_of` these. For the process that workers are forked from.

    Classes made later are not affected, nor are those inherited from frozen ones. Raises: RuntimeError if the
    interpreter does not work as this module thinks it does.
    """
    _freeze(classes_of(roots))


def freeze_own_classes() -> None:
    """Freeze every class of the sandbox that now exists, so that no function changes `log` or a façade for another.

    Not those of the protocol: they are never in a tenant's hands, and their library keeps things on them.
    Raises: RuntimeError as `freeze_classes` does.
    """
    own = (cls for cls in _all_classes() if _module(cls).startswith("sandbox."))
    _freeze(cls for cls in own if not _module(cls).startswith("sandbox.protocol"))


def is_frozen(cls: type) -> bool:
    """Whether nothing of this class can be changed any more."""
    return bool(cls.__flags__ & _IMMUTABLE)


def _module(cls: type) -> str:
    return str(type.__dict__["__module__"].__get__(cls))


def _freeze(classes: Iterable[type]) -> None:
    if sys.implementation.name != "cpython":
        raise RuntimeError("classes can be frozen in CPython only")
    offset = _flags_offset_bytes()
    for cls in classes:
        if not cls.__flags__ & _IMMUTABLE:
            ctypes.c_ulong.from_address(id(cls) + offset).value |= _IMMUTABLE
            if not cls.__flags__ & _IMMUTABLE:
                raise RuntimeError(f"{cls!r} could not be frozen")


def _all_classes() -> Iterator[type]:
    seen: set[int] = set()
    pending: list[type] = [object]
    while pending:
        cls = pending.pop()
        if id(cls) not in seen:
            seen.add(id(cls))
            yield cls
            pending.extend(type.__subclasses__(cls))
