"""The written form of what a shared cache holds.

Values are JSON: None, bool, int, finite float, str, list, dict with keys that are strings; a tuple becomes a list.
Exact types only: what would come back as something else is refused, with its path. Keys are None, bool, int, finite
float, str and tuples of those, each written twice if need be: so that equal keys are equal bytes, and as it was given.

Nothing of a tenant's runs while a value is looked at and encoded; see `values`.
"""

import gc
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from sandbox.protocol import CACHE_DIGITS_MAX, CACHE_KEY_MAX_BYTES, CACHE_PAIRS_MAX
from sandbox.python.plain_values import DEPTH_MAX
from sandbox.python.tracebacks import safe_repr, type_name
from sandbox.python.values import dumps_exact

_KEY_DEPTH_MAX: Final = 16
_PATH_KEY_MAX_BYTES: Final = 80
_WIDE: Final = 32
_INT_END: Final = 10**CACHE_DIGITS_MAX
_INT_BITS: Final = _INT_END.bit_length() - 1
"""Shorter ones have few enough digits."""
_PAIR: Final = 2
_PLAIN: Final = frozenset({str, bool, type(None)})
_HINTS: Final = {
    "set": "; use a list, or a dict of True",
    "frozenset": "; use a list",
    "bytes": "; decode it, or use base64",
    "datetime": "; use isoformat()",
    "date": "; use isoformat()",
    "Decimal": "; use str()",
    "UUID": "; use str()",
}

# Escapes: what is half of a surrogate pair has no other way into a JSON text.
_slow_encoder: Final = json.JSONEncoder(check_circular=False, allow_nan=False, separators=(",", ":"))
_decode: Final = msgspec.json.Decoder().decode


class ValueTooLarge(Exception):
    """A value that is larger than the whole cache may be."""


class _Refused(Exception):
    """What is wrong with a value, and the way to it from the inside out."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.steps: list[str] = []


def encode_value(key: object, value: object, *, max_bytes: int) -> bytes:
    """JSON of a value. Raises: TypeError, which tells where in `cache[key]` it has none; ValueTooLarge."""
    # A collection could run a tenant's finalizer between the look and the encoding.
    collecting = gc.isenabled()
    gc.disable()
    try:
        left = _look(value, max_bytes, 0)
        try:
            encoded = dumps_exact(value, max_bytes - left)
        except TypeError:
            # orjson's, for numbers of more than 64 bits and halves of surrogate pairs.
            encoded = _slow_encoder.encode(value).encode()
    except _Refused as refused:
        path = f"cache{_step(key)}{''.join(reversed(refused.steps))}"
        raise TypeError(f"{path} {refused.message}") from None
    finally:
        if collecting:
            gc.enable()
    if len(encoded) > max_bytes:
        raise ValueTooLarge
    return encoded


def decode_value(written: bytes) -> Any:
    """The value, built anew. Raises: ValueError for what no worker of ours has written."""
    try:
        return _decode(written)
    except msgspec.DecodeError:
        return json.loads(written)


def _look(value: Any, left: int, depth: int) -> int:
    """What is left of a number of bytes after the shortest JSON this can have. Raises: _Refused, ValueTooLarge."""
    kind = type(value)
    if kind is str:
        left -= len(value)
    elif kind is int:
        if value.bit_length() > _INT_BITS and abs(value) >= _INT_END:
            raise _Refused(f"has more than {CACHE_DIGITS_MAX} digits")
        left -= 1
    elif kind is float:
        if not math.isfinite(value):
            raise _Refused(f"is {value!r}, which JSON does not have")
        left -= 1
    elif kind is list or kind is tuple:
        left = _look_at_items(value, left, depth)
    elif kind is dict:
        left = _look_at_pairs(value, left, depth)
    elif value is None or kind is bool:
        left -= 1
    else:
        raise _Refused(f"cannot be kept in a shared cache: it is of type {type_name(value)!r}{_hint(value)}")
    if left < 0:
        raise ValueTooLarge
    return left


def _look_at_items(value: Any, left: int, depth: int) -> int:
    left -= 2 * len(value)
    if left < 0:
        raise ValueTooLarge
    _check_depth(depth)
    if len(value) >= _WIDE:
        # Asking for all types at once is cheaper than asking each.
        kinds = set(map(type, value))
        if kinds <= _PLAIN and str not in kinds:
            return left
        if kinds == {float} and all(map(math.isfinite, value)):
            return left
        if kinds == {int} and max(map(int.bit_length, value)) <= _INT_BITS:
            return left
        if kinds == {str}:
            return left - sum(map(len, value))
    for index, item in enumerate(value):
        try:
            left = _look(item, left, depth + 1)
        except _Refused as refused:
            refused.steps.append(f"[{index}]")
            raise
    return left


def _look_at_pairs(value: dict[Any, Any], left: int, depth: int) -> int:
    left -= 5 * len(value)
    if left < 0:
        raise ValueTooLarge
    _check_depth(depth)
    for key, item in value.items():
        if type(key) is not str:
            raise _Refused(f"has a key of type {type_name(key)!r}; the keys of a dict in a shared cache are strings")
        left -= len(key)
        try:
            left = _look(item, left, depth + 1)
        except _Refused as refused:
            refused.steps.append(_step(key))
            raise
    return left


def _check_depth(depth: int) -> None:
    # What contains itself is nested without end.
    if depth >= DEPTH_MAX:
        raise _Refused(f"is nested more than {DEPTH_MAX} levels deep")


def _step(key: object) -> str:
    return f"[{safe_repr(key, max_bytes=_PATH_KEY_MAX_BYTES)}]"


def _hint(value: object) -> str:
    kind = type(value)
    for base in (dict, list, tuple, str, int, float):
        if issubclass(kind, base):
            return f"; use {base.__name__}() of it"
    return _HINTS.get(type_name(value), "")


def encode_key(key: object) -> tuple[bytes, bytes]:
    """A key so that equal ones are equal, and as it is shown, empty if alike. Raises: TypeError, ValueError."""
    if type(key) is str:
        written, shown = b"s" + key.encode("utf-8", "surrogatepass"), b""
    else:
        written, shown = _write_key(key, 0, is_shown=False), _write_key(key, 0, is_shown=True)
        if written == shown:
            shown = b""
    if len(written) > CACHE_KEY_MAX_BYTES or len(shown) > CACHE_KEY_MAX_BYTES:
        raise ValueError(f"a key of a shared cache may have {CACHE_KEY_MAX_BYTES} bytes")
    return written, shown


def _write_key(key: Any, depth: int, *, is_shown: bool) -> bytes:
    kind = type(key)
    if kind is str:
        return b"s" + str.encode(key, "utf-8", "surrogatepass")
    if kind is float and not math.isfinite(key):
        raise TypeError(f"{key!r} cannot be a key of a shared cache")
    if kind is int or (not is_shown and (kind is bool or (kind is float and key.is_integer()))):
        return b"i%x" % int(key) if key >= 0 else b"i-%x" % -int(key)
    if kind is float:
        return b"f" + float.__repr__(key).encode()
    if kind is bool:
        return b"b1" if key else b"b0"
    if key is None:
        return b"n"
    if kind is tuple:
        if depth >= _KEY_DEPTH_MAX:
            raise TypeError(f"a key of a shared cache is nested {_KEY_DEPTH_MAX} levels deep at the most")
        pieces = [_write_key(item, depth + 1, is_shown=is_shown) for item in key[: CACHE_KEY_MAX_BYTES + 1]]
        return b"t" + b"".join(b"%d:%b" % (len(piece), piece) for piece in pieces)
    raise TypeError(
        f"a key of a shared cache must be a str, int, float, bool, None or a tuple of those, not {type_name(key)!r}"
    )


def decode_key(shown: bytes) -> Any:
    """The key as it was given. Raises: ValueError for what no worker of ours has written."""
    kind, text = shown[:1], shown[1:]
    match kind:
        case b"s":
            return text.decode("utf-8", "surrogatepass")
        case b"i":
            return int(text, 16)
        case b"f":
            return float(text)
        case b"b":
            return text == b"1"
        case b"n":
            return None
        case b"t":
            return tuple(_pieces(text))
        case _:
            raise ValueError("a key that is none")


def _pieces(text: bytes) -> Iterator[Any]:
    while text:
        length, _, text = text.partition(b":")
        end = int(length)
        if not 0 < end <= len(text):
            raise ValueError("a key that is none")
        yield decode_key(text[:end])
        text = text[end:]


def decode_keys(shown: Iterable[bytes]) -> list[Any]:
    """Keys in their order."""
    return [decode_key(key) for key in shown]


def decode_items(parts: list[bytes]) -> dict[Any, Any]:
    """Keys and values, which come in turn."""
    return {decode_key(parts[at]): decode_value(parts[at + 1]) for at in range(0, len(parts), 2)}


def encode_pairs(
    given: Any, named: Mapping[str, object], *, max_bytes: int
) -> list[tuple[bytes, bytes, bytes]]:  # fmt: skip
    """What `update` is called with. Raises: TypeError, ValueError as `dict.update` does; ValueTooLarge."""
    pairs: list[tuple[bytes, bytes, bytes]] = []
    left = max_bytes
    for key, value in _given_pairs(given, named):
        written, shown = encode_key(key)
        encoded = encode_value(key, value, max_bytes=max_bytes)
        left -= len(written) + len(shown) + len(encoded)
        if left < 0:
            raise ValueTooLarge
        if len(pairs) >= CACHE_PAIRS_MAX:
            raise ValueError(f"update() of a shared cache takes {CACHE_PAIRS_MAX} keys at once")
        pairs.append((written, shown, encoded))
    return pairs


def _given_pairs(given: Any, named: Mapping[str, object]) -> Iterator[tuple[Any, Any]]:
    if hasattr(given, "keys"):
        for key in given.keys():  # noqa: SIM118 - `update` asks for keys(), whatever iterating would give
            yield key, given[key]
    else:
        for position, item in enumerate(given):
            pair = list(item)
            if len(pair) != _PAIR:
                raise ValueError(
                    f"dictionary update sequence element #{position} has length {len(pair)}; 2 is required"
                )
            yield pair[0], pair[1]
    yield from named.items()
