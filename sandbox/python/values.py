"""The JSON form of what tenant code returns and logs.

Natively: None, bool, int, float (NaN and infinities are null), str, list, dict, tuple, datetime, date, time, UUID (all
ISO or canonical text), dataclasses (their attributes, without those that begin with an underscore) and enums (their
values). Beyond that: Decimal is text, so that no digit is lost; a set is a list, sorted if it can be; a namedtuple is a
list; an int of any size is a number; keys that are int, float, bool, None, dates, UUIDs or enums become text as `json`
has it. Everything else is refused with the path of the value.
"""

import datetime as dt
import decimal
import enum
import uuid
from collections.abc import Iterator
from typing import Any, Final

import orjson

from sandbox.python.tracebacks import safe_repr

_DEPTH_MAX: Final = 250
"""orjson goes no deeper than 254."""
_INT64_MIN: Final = -(2**63)
_UINT64_MAX: Final = 2**64 - 1
_PATH_KEY_MAX_CHARACTERS: Final = 80
_FIELD_REPR_MAX_BYTES: Final = 2048

_NATIVE_SCALARS: Final = (dt.datetime, dt.date, uuid.UUID)


class ResultRefused(Exception):
    """A value that has no JSON form; `path` is like `result.items[3].when`."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path} {message}")
        self.path = path
        self.message = message


def encode_result(value: object) -> bytes:
    """JSON of a value, in one call for the ordinary ones. Raises: ResultRefused.

    What ends a run (`BaseException`, `MemoryError`) passes through as it is.
    """
    try:
        return orjson.dumps(value, _beyond_orjson)
    except TypeError as error:
        # orjson wraps whatever its helper raises.
        if error.__cause__ is not None and _ends_the_run(error.__cause__):
            raise error.__cause__ from None
    except RecursionError:
        pass
    return orjson.dumps(_Walk().plain(value, "result"))


def encode_field(value: object) -> object:
    """A log field as orjson will take it: its JSON form, or a capped `repr` if it has none."""
    if value is None or value is True or value is False or type(value) is float:
        return value
    try:
        return orjson.Fragment(encode_result(value))
    except ResultRefused:
        return safe_repr(value, max_bytes=_FIELD_REPR_MAX_BYTES)


def _ends_the_run(error: BaseException) -> bool:
    return not isinstance(error, Exception) or isinstance(error, MemoryError)


def _beyond_orjson(value: object) -> object:
    if isinstance(value, decimal.Decimal):
        return decimal.Decimal.__str__(value)
    if isinstance(value, set | frozenset):
        return _in_order(value)
    if isinstance(value, tuple):
        return list(tuple.__iter__(value))
    raise TypeError


def _in_order(items: "set[Any] | frozenset[Any]") -> list[Any]:
    found = list(set.__iter__(items) if isinstance(items, set) else frozenset.__iter__(items))
    try:
        return sorted(found)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - a tenant's `__lt__` can raise anything
        return found


class _Walk:
    """Takes a value apart in Python: finds what orjson refused, or makes of it what orjson takes."""

    def __init__(self) -> None:
        self._open: set[int] = set()

    def plain(self, value: Any, path: str) -> object:  # noqa: PLR0911 - a table of types, one line each
        """The value in terms of what orjson takes. Raises: ResultRefused."""
        if value is None or value is True or value is False:
            return value
        if isinstance(value, enum.Enum):
            return self.plain(value._value_, path)
        if isinstance(value, str):
            return _text(value, path)
        if isinstance(value, int):
            return _number(int.__int__(value), path)
        if isinstance(value, float):
            return float.__float__(value)
        if isinstance(value, decimal.Decimal):
            return decimal.Decimal.__str__(value)
        if isinstance(value, dt.time):
            return dt.time.isoformat(value)
        if isinstance(value, _NATIVE_SCALARS):
            return _scalar(value, path)
        return self._container(value, path)

    def _container(self, value: Any, path: str) -> object:
        items = _items(value)
        if items is None:
            hint = _HINTS.get(type(value).__name__, "")
            raise ResultRefused(path, f"has no JSON form: it is of type {type(value).__name__!r}{hint}")
        if id(value) in self._open:
            raise ResultRefused(path, "contains itself, so it has no JSON form")
        if len(self._open) >= _DEPTH_MAX:
            raise ResultRefused(_shortened(path), f"is nested more than {_DEPTH_MAX} levels deep")
        self._open.add(id(value))
        try:
            if isinstance(items, list):
                return [self.plain(item, f"{path}[{index}]") for index, item in enumerate(items)]
            return {_key(key, path): self.plain(item, f"{path}{_step(key)}") for key, item in items}
        finally:
            self._open.discard(id(value))


_HINTS: Final = {
    "bytes": "; decode it, or use base64",
    "bytearray": "; decode it, or use base64",
    "timedelta": "; use total_seconds()",
    "generator": "; make a list of it",
    "coroutine": "; await it",
    "complex": "; return its parts",
}


def _items(value: Any) -> "list[Any] | Iterator[tuple[Any, Any]] | None":
    """The parts of a container: a list of values, pairs of key and value, or None for what is no container.

    Taken by the methods of the built-in classes, so that what is sent is what orjson would have seen.
    """
    if isinstance(value, dict):
        return iter(list(dict.items(value)))
    if isinstance(value, list):
        return list(list.__iter__(value))
    if isinstance(value, tuple):
        return list(tuple.__iter__(value))
    if isinstance(value, set | frozenset):
        return _in_order(value)
    fields = vars(type(value)).get("__dataclass_fields__")
    if fields is None:
        return None
    try:
        attributes = object.__getattribute__(value, "__dict__")
    except AttributeError:
        attributes = {name: object.__getattribute__(value, name) for name in fields if not name.startswith("_")}
    return iter([(name, item) for name, item in attributes.items() if not name.startswith("_")])


def _text(value: str, path: str) -> str:
    exact = str.__str__(value)
    try:
        exact.encode()
    except UnicodeEncodeError:
        raise ResultRefused(path, "has half of a surrogate pair in it, which is no character") from None
    return exact


def _number(value: int, path: str) -> object:
    if _INT64_MIN <= value <= _UINT64_MAX:
        return value
    try:
        return orjson.Fragment(str(value).encode())
    except ValueError:
        raise ResultRefused(path, "is a number of too many digits to be written out") from None


def _scalar(value: object, path: str) -> object:
    try:
        orjson.dumps(value)
    except TypeError as error:
        raise ResultRefused(path, f"has no JSON form: {error}") from None
    return value


def _key(key: Any, path: str) -> str:
    if isinstance(key, enum.Enum):
        return _key(key._value_, path)
    if isinstance(key, str):
        return _text(key, f"{path}{_step(key)}")
    if key is None or key is True or key is False:
        return {None: "null", True: "true", False: "false"}[key]
    if isinstance(key, int):
        return int.__repr__(key)
    if isinstance(key, float):
        # As `json` has it; in a key there is no null to stand for what is no number.
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}.get(text := float.__repr__(key), text)
    if isinstance(key, (*_NATIVE_SCALARS, dt.time)):
        return orjson.dumps(_scalar(key, path)).decode().strip('"')
    raise ResultRefused(path, f"has a key that no JSON object can have: it is of type {type(key).__name__!r}")


def _step(key: Any) -> str:
    if isinstance(key, str) and key.isidentifier() and len(key) <= _PATH_KEY_MAX_CHARACTERS:
        return f".{key}"
    return f"[{safe_repr(key, max_bytes=_PATH_KEY_MAX_CHARACTERS)}]"


def _shortened(path: str) -> str:
    return path if len(path) <= 2 * _PATH_KEY_MAX_CHARACTERS else f"{path[:_PATH_KEY_MAX_CHARACTERS]}…"
