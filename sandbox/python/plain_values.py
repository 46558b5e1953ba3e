"""What tenant code returns and logs, taken apart into values of exactly the built-in types.

Native encoders walk raw memory: a tenant's method that ran in the middle could pull a list away under them, and an
object that lacks what its class promises would end the process. So everything that is not already of an exact built-in
type is rebuilt here, in Python, by the methods of the built-in classes. Of a tenant's own code only the time zones are
asked, before anything is encoded.
"""

import contextlib
import datetime as dt
import decimal
import enum
import math
import types
import uuid
import zoneinfo
from collections.abc import Callable, Iterator
from typing import Any, Final, NoReturn

from sandbox.python.tracebacks import safe_repr, safe_text, type_name

DEPTH_MAX: Final = 250
"""orjson goes no deeper than 254."""
_PATH_KEY_MAX_CHARACTERS: Final = 80
_ZONES: Final = (type(None), dt.timezone, zoneinfo.ZoneInfo)
_NUMBERS: Final = frozenset({int, float, bool})
_SORTED_KINDS: Final = frozenset({str, bytes, decimal.Decimal, dt.date, dt.datetime, dt.time, uuid.UUID})
_UUID_INT: Final[Any] = vars(uuid.UUID)["int"].__get__
_UUID_END: Final = 1 << 128
_HINTS: Final = {
    "bytes": "; decode it, or use base64",
    "bytearray": "; decode it, or use base64",
    "timedelta": "; use total_seconds()",
    "generator": "; make a list of it",
    "coroutine": "; await it",
    "complex": "; return its parts",
}
AS_DICT: Final[dict[type, Callable[[Any], dict[Any, Any]]]] = {}
"""Mappings of ours that are shown as dicts are, and how to make one of each."""


class ResultRefused(Exception):
    """A value that has no JSON form; `path` is like `result.items[3].when`."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{'the result' if path == 'result' else path} {message}")
        self.path = path
        self.message = message


class TooLarge(ResultRefused):
    """A value whose JSON would have more bytes than it may."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__("result", f"has more than {max_bytes} bytes of JSON, which are the most")


class Rebuilding:
    """One value on its way to exact built-in types. `left` is how many bytes its JSON may still have, at the least."""

    def __init__(self, max_bytes: int) -> None:
        self.left = self._max_bytes = max_bytes
        self._open: set[int] = set()
        self._steps: list[Any] = []
        """From the result to the value at hand: positions in lists, and keys of dicts in a tuple of one."""

    def plain(self, value: Any) -> object:  # noqa: PLR0911 - a table of types, a line or two each
        """The value in terms of None, bool, int, float, str, list and dict, none of them shared with the tenant.

        Raises: ResultRefused; what a tenant's time zone raises, if that is no `Exception`.
        """
        kind = type(value)
        self._spend(1)
        if value is None or kind is bool:
            return value
        if issubclass(kind, enum.Enum):
            self._enter(value)
            return self._leave(value, self.plain(self._member_value(value)))
        if issubclass(kind, str):
            return self._text(str.__str__(value))
        if issubclass(kind, int):
            return self._number(int.__int__(value))
        if issubclass(kind, float):
            number = float.__float__(value)
            return number if math.isfinite(number) else None
        if issubclass(kind, dict):
            return self._pairs(value, list(dict.items(value)))
        items = _items(value)
        if items is not None:
            return self._sequence(value, items)
        written = self._written(value)
        if written is not None:
            return self._text(written)
        pairs = _members(value)
        if pairs is not None:
            return self._pairs(value, pairs)
        return self._refuse(f"has no JSON form: it is of type {type_name(value)!r}{_HINTS.get(type_name(value), '')}")

    # Two calls a level and no more: what may be nested 250 deep must fit the interpreter's stack.

    def _sequence(self, value: object, items: list[Any]) -> object:
        self._enter(value)
        self._spend(len(items))
        found: list[object] = []
        self._steps.append(0)
        for index, item in enumerate(items):
            self._steps[-1] = index
            found.append(self.plain(item))
        self._steps.pop()
        return self._leave(value, found)

    def _pairs(self, value: object, pairs: list[tuple[Any, Any]]) -> object:
        self._enter(value)
        self._spend(4 * len(pairs))
        found: dict[str, object] = {}
        self._steps.append(())
        for key, item in pairs:
            # What is refused about a key is said of the dict, but for a text, which can be named.
            self._steps[-1] = ()
            text = self._key(key)
            self._spend(len(text))
            self._steps[-1] = (key,)
            found[text] = self.plain(item)
        self._steps.pop()
        return self._leave(value, found)

    def _enter(self, value: object) -> None:
        if id(value) in self._open:
            self._refuse("contains itself, so it has no JSON form")
        if len(self._open) >= DEPTH_MAX:
            self._refuse(f"is nested more than {DEPTH_MAX} levels deep")
        self._open.add(id(value))

    def _leave(self, value: object, found: object) -> object:
        self._open.discard(id(value))
        return found

    def _member_value(self, member: Any) -> Any:
        attributes = _attributes(member)
        if "_value_" not in attributes:
            self._refuse("has no JSON form: it is a member of an enum and has no value")
        return attributes["_value_"]

    def _key(self, key: Any) -> str:
        for _ in range(DEPTH_MAX):
            if not issubclass(type(key), enum.Enum):
                break
            key = _attributes(key).get("_value_", key)
        kind = type(key)
        if issubclass(kind, str):
            text = str.__str__(key)
            self._steps[-1] = (text,)
            self._check_characters(text)
            return text
        if key is None or kind is bool:
            return {None: "null", True: "true", False: "false"}[key]
        if issubclass(kind, int) and not issubclass(kind, enum.Enum):
            return str(self._number(int.__int__(key)))
        if issubclass(kind, float):
            # As `json` has it; in a key there is no null to stand for what is no number.
            return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}.get(text := float.__repr__(key), text)
        written = None if issubclass(kind, decimal.Decimal) else self._written(key)
        if written is None:
            self._refuse(f"has a key that no JSON object can have: it is of type {type_name(key)!r}")
        return written

    def _written(self, value: Any) -> str | None:
        """The text of what JSON has as text; None for what is nothing of the kind."""
        kind = type(value)
        if issubclass(kind, decimal.Decimal):
            return decimal.Decimal.__str__(value)
        if issubclass(kind, uuid.UUID):
            return self._uuid(value)
        for base in (dt.datetime, dt.date, dt.time):
            if issubclass(kind, base):
                try:
                    # The time zone can be the tenant's; what it answers is checked by `datetime` itself.
                    return str.__str__(base.isoformat(value))
                except MemoryError:
                    raise
                except Exception as error:  # noqa: BLE001 - a tenant's time zone can raise anything
                    self._refuse(f"has no JSON form: {type_name(error)}: {safe_text(error, max_bytes=500)}", error)
        return None

    def _uuid(self, value: Any) -> str:
        number = _UUID_INT(value) if _has(_UUID_INT, value) else None
        if type(number) is not int or not 0 <= number < _UUID_END:
            self._refuse("has no JSON form: it is a UUID without a number")
        digits = f"{number:032x}"
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

    def _text(self, text: str) -> str:
        self._spend(len(text))
        self._check_characters(text)
        return text

    def _check_characters(self, text: str) -> None:
        try:
            text.isascii() or text.encode()
        except UnicodeEncodeError:
            self._refuse("has half of a surrogate pair in it, which is no character")

    def _number(self, value: int) -> int:
        try:
            str(value)
        except ValueError:
            self._refuse("is a number of too many digits to be written out")
        return value

    def _spend(self, size_bytes: int) -> None:
        self.left -= size_bytes
        if self.left < 0:
            raise TooLarge(self._max_bytes)

    def _refuse(self, message: str, cause: Exception | None = None) -> NoReturn:
        path = "result"
        for step in self._steps:
            path += f"[{step}]" if type(step) is int else "".join(map(_step, step))
            if len(path) > 2 * _PATH_KEY_MAX_CHARACTERS and len(self._open) >= DEPTH_MAX:
                path = f"{path[:_PATH_KEY_MAX_CHARACTERS]}…"
                break
        raise ResultRefused(path, message) from cause


def _items(value: Any) -> list[Any] | None:
    """The parts of a list, tuple or set, taken by the methods of the built-in classes; None for what is none."""
    kind = type(value)
    if issubclass(kind, list):
        return list(list.__iter__(value))
    if issubclass(kind, tuple):
        return list(tuple.__iter__(value))
    if issubclass(kind, set):
        return _in_order(list(set.__iter__(value)))
    if issubclass(kind, frozenset):
        return _in_order(list(frozenset.__iter__(value)))
    return None


def _members(value: Any) -> list[tuple[Any, Any]] | None:
    """What is shown of a mapping of ours or a dataclass; None for anything else."""
    kind = type(value)
    if kind in AS_DICT:
        return list(AS_DICT[kind](value).items())
    return _fields(value) if type(vars(kind).get("__dataclass_fields__")) is dict else None


def _fields(value: Any) -> list[tuple[Any, Any]]:
    """What a dataclass shows. A slot that was emptied is absent, as an attribute that was deleted is."""
    names = [name for name in vars(type(value))["__dataclass_fields__"] if type(name) is str]
    pairs = [*_slots(value, names), *_attributes(value).items()]
    return [(name, item) for name, item in pairs if type(name) is str and not name.startswith("_")]


def _in_order(found: list[Any]) -> list[Any]:
    kinds = set(map(type, found))
    if kinds <= _NUMBERS or (len(kinds) == 1 and kinds <= _SORTED_KINDS and all(map(_has_known_zone, found))):
        # The built-in types cannot compare everything: times with and without a zone, a UUID without a number, NaN.
        with contextlib.suppress(TypeError, ValueError, ArithmeticError, AttributeError):
            found.sort()
    return found


def _has_known_zone(value: Any) -> bool:
    return not isinstance(value, dt.datetime | dt.time) or type(value.tzinfo) in _ZONES


def _attributes(value: Any) -> dict[Any, Any]:
    """A copy of what an object has in its `__dict__`, without asking a property of that name."""
    for base in type(value).__mro__:
        descriptor = vars(base).get("__dict__")
        if type(descriptor) is types.GetSetDescriptorType:
            return dict(descriptor.__get__(value))
    return {}


def _slots(value: Any, names: list[str]) -> Iterator[tuple[str, Any]]:
    for name in names:
        for base in type(value).__mro__:
            descriptor = vars(base).get(name)
            if type(descriptor) is types.MemberDescriptorType and _has(descriptor.__get__, value):
                yield name, descriptor.__get__(value)
                break


def _has(read: Callable[[Any], Any], value: Any) -> bool:
    try:
        read(value)
    except AttributeError:
        return False
    return True


def _step(key: Any) -> str:
    if issubclass(type(key), str):
        text = str.__str__(key)
        if text.isidentifier() and len(text) <= _PATH_KEY_MAX_CHARACTERS:
            return f".{text}"
    return f"[{safe_repr(key, max_bytes=_PATH_KEY_MAX_CHARACTERS)}]"
