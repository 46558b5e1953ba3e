"""The JSON form of what tenant code returns and logs.

None, bool, int, float (NaN and infinities are null), str, list, dict, tuple, datetime, date, time, UUID (all ISO or
canonical text), dataclasses (their attributes, without those that begin with an underscore) and enums (their values).
Decimal is text, so that no digit is lost; a set is a list, sorted if it holds one comparable built-in kind; a
namedtuple is a list; an int of any size is a number; keys that are int, float, bool, None, dates, UUIDs or enums become
text as `json` has it. Everything else is refused with the path of the value.

orjson is fast and believes what it is given: a tenant's method that runs while it works, or an allocation that fails,
ends the process. It therefore sees exact built-in types only, nothing runs beside it, and only after the memory it can
need has been seen to be there.
"""

import gc
import json
import mmap
import sys
from typing import Any, Final

import orjson

from sandbox.python.plain_values import DEPTH_MAX, Rebuilding, ResultRefused, TooLarge
from sandbox.python.tracebacks import safe_repr, type_name

__all__ = ["ResultRefused", "dumps_exact", "encode_field", "encode_result", "encode_text"]

_FIELD_REPR_MAX_BYTES: Final = 2048
_ATOMS: Final = frozenset({int, float, bool, type(None)})
_WIDE: Final = 32
"""From so many items on, asking for all types at once is cheaper than asking each."""
_MEMORY_FACTOR: Final = 96
"""orjson makes room for 8 times a text's UTF-8, rounds up to a power of two, and may hold the old buffer beside it."""
_MEMORY_LEAST_BYTES: Final = 4096
_MAPPED_BYTES: Final = 64 * 1024
_FRUGAL_FACTOR: Final = 4
_HEAP_PIECE_BYTES: Final = 2 << 20
_slow_encoder: Final = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":"))


class _NotPlain(Exception):
    """There is something in a value that orjson must not see as it is."""


def encode_result(value: object, *, max_bytes: int | None = None) -> bytes:
    """JSON of a value, at most that long. Raises: ResultRefused.

    What ends a run (`BaseException`, `MemoryError`) passes through as it is.
    """
    most = sys.maxsize if max_bytes is None else max_bytes
    kind = type(value)
    try:
        if kind is str:
            encoded = dumps_exact(value, len(value))  # type: ignore[arg-type]  # it is a str
        elif kind in _ATOMS:
            encoded = dumps_exact(value, 1)
        else:
            encoded = _as_it_is(value, most)
    except (_NotPlain, TypeError):
        # TypeError is orjson's, for numbers of more than 64 bits and halves of surrogate pairs.
        encoded = _rebuilt(value, most)
    if len(encoded) > most:
        raise TooLarge(most)
    return encoded


def encode_field(value: object, *, max_bytes: int | None = None) -> bytes:
    """JSON of a log field. One without a form is a capped `repr`; one that is longer is told by its type."""
    try:
        return encode_result(value, max_bytes=max_bytes)
    except TooLarge:
        return encode_text(f"<{type_name(value)} of more than {max_bytes} bytes of JSON>")
    except ResultRefused:
        return encode_text(safe_repr(value, max_bytes=_FIELD_REPR_MAX_BYTES))


def encode_text(text: str) -> bytes:
    """JSON of a text; of what is no character in it (half of a surrogate pair), the escape."""
    exact = str.__str__(text)
    try:
        return dumps_exact(exact, len(exact))
    except (TypeError, ResultRefused):
        exact = exact.encode(errors="backslashreplace").decode()
        return dumps_exact(exact, len(exact))


def _as_it_is(value: object, max_bytes: int) -> bytes:
    # A collection could run a tenant's finalizer between the look and the encoding.
    collecting = gc.isenabled()
    gc.disable()
    try:
        left = _look(value, max_bytes, 0)
        if left < 0:
            raise TooLarge(max_bytes)
        return dumps_exact(value, max_bytes - left)
    finally:
        if collecting:
            gc.enable()


def _look(value: Any, left: int, depth: int) -> int:  # noqa: C901, PLR0912 - a loop for each container, unrolled for speed
    """What is left of a number of bytes after the shortest JSON that a container can have. Raises: _NotPlain."""
    kind = type(value)
    if depth >= DEPTH_MAX:
        raise _NotPlain
    # Spent for all items before the first is looked at: what is too large costs no more than what is not.
    if kind is list:
        left -= 2 * len(value)
        if left < 0 or (len(value) >= _WIDE and _ATOMS.issuperset(map(type, value))):
            return left
        for item in value:
            kind = type(item)
            if kind is str:
                left -= len(item)
            elif kind not in _ATOMS:
                left = _look(item, left, depth + 1)
                if left < 0:
                    return left
        return left
    if kind is dict:
        left -= 5 * len(value)
        if left < 0:
            return left
        for key, item in value.items():
            if type(key) is not str:
                raise _NotPlain
            left -= len(key)
            kind = type(item)
            if kind is str:
                left -= len(item)
            elif kind not in _ATOMS:
                left = _look(item, left, depth + 1)
                if left < 0:
                    return left
        return left
    raise _NotPlain


def _rebuilt(value: object, max_bytes: int) -> bytes:
    rebuilding = Rebuilding(max_bytes)
    plain = rebuilding.plain(value)
    size_bytes = max_bytes - rebuilding.left
    try:
        return dumps_exact(plain, size_bytes)
    except TypeError:
        return _slow_encoder.encode(plain).encode()


def dumps_exact(value: object, size_bytes: int) -> bytes:
    """JSON of exact built-in types that have at least `size_bytes` of it. Raises: TypeError as orjson does."""
    if not _is_there(_MEMORY_LEAST_BYTES + _MEMORY_FACTOR * size_bytes):
        return _frugally(value, size_bytes)
    return orjson.dumps(value)


def _is_there(needed_bytes: int) -> bool:
    if needed_bytes <= _MAPPED_BYTES:
        bytes(needed_bytes)  # if even this raises MemoryError, nothing native may run at all
        return True
    try:
        # Mapped and never touched: costs two system calls, however large. A heap that cannot grow maps a whole piece.
        mmap.mmap(-1, needed_bytes + _HEAP_PIECE_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
    except (MemoryError, OSError):
        return False
    return True


def _frugally(value: object, size_bytes: int) -> bytes:
    """By CPython's own encoder, which needs less. Raises: MemoryError if that is not there either."""
    needed_bytes = _MAPPED_BYTES + _FRUGAL_FACTOR * size_bytes
    if not _is_there(needed_bytes):
        # What was freed may lie below something in the heap that stays: then it is there, and no mapping can be made.
        bytes(needed_bytes)
    return _slow_encoder.encode(Rebuilding(sys.maxsize).plain(value)).encode()
