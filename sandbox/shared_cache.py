"""`cache` in a workspace that has several workers: each operation is one question to the service, which has it all."""

from collections.abc import ItemsView, Iterator, KeysView, Mapping, MutableMapping, ValuesView
from typing import Any, Final, Self

from sandbox.cache import CacheFull
from sandbox.cache_calls import CacheCalls
from sandbox.closed import Closed
from sandbox.protocol import increased
from sandbox.python.cache_values import (
    ValueTooLarge,
    decode_items,
    decode_keys,
    decode_value,
    encode_key,
    encode_pairs,
    encode_value,
)
from sandbox.python.plain_values import AS_DICT

_MISSING: Final[Any] = object()


class SharedCache(Closed, MutableMapping[Any, Any]):
    """What a dict does, by value: what is read is a copy, and a change to it is written by setting the key again.

    Raises: TypeError for what has no written form, CacheFull (`cache.Full`) where there is no room.
    """

    __slots__ = ("_calls",)

    Full: Final = CacheFull

    _calls: CacheCalls

    def __init__(self, calls: CacheCalls) -> None:
        object.__setattr__(self, "_calls", calls)

    def __getitem__(self, key: Any) -> Any:
        parts = self._calls.ask("get", *encode_key(key))
        if parts is None:
            raise KeyError(key)
        return decode_value(parts[0])

    def get(self, key: Any, default: Any = None, /) -> Any:
        """The value, or the default."""
        parts = self._calls.ask("get", *encode_key(key))
        return default if parts is None else decode_value(parts[0])

    def __contains__(self, key: object) -> bool:
        return self._calls.ask("has", *encode_key(key)) is not None

    def __setitem__(self, key: Any, value: Any) -> None:
        self._calls.ask("set", *encode_key(key), self._value(key, value))

    def setdefault(self, key: Any, default: Any = None, /) -> Any:
        """The value; the default, if there was none, is one from now on. Atomic."""
        parts = self._calls.ask("setdefault", *encode_key(key), self._value(key, default))
        return decode_value(self._some(parts)[0])

    def increment(self, key: Any, by: float = 1) -> int | float:
        """Add to a number, 0 if there is none. Atomic. Returns: the new one. Raises: TypeError, OverflowError."""
        increased(0, by)  # what is no number is told here, in the words of an unshared cache
        parts = self._calls.ask("increment", *encode_key(key), self._value(key, by))
        number: int | float = decode_value(self._some(parts)[0])
        return number

    def __delitem__(self, key: Any) -> None:
        if self._calls.ask("delete", *encode_key(key)) is None:
            raise KeyError(key)

    def pop(self, key: Any, default: Any = _MISSING, /) -> Any:
        """Remove a key and return its value, or the default. Atomic."""
        parts = self._calls.ask("pop", *encode_key(key))
        if parts is not None:
            return decode_value(parts[0])
        if default is _MISSING:
            raise KeyError(key)
        return default

    def popitem(self) -> tuple[Any, Any]:
        """Remove the key that was added last. Atomic."""
        parts = self._calls.ask("popitem")
        if parts is None:
            raise KeyError("popitem(): dictionary is empty")
        (item,) = decode_items(parts).items()
        return item

    def update(self, given: Any = (), /, **named: Any) -> None:
        """Set many keys, all of them or none. Atomic."""
        if type(given) is SharedCache:
            given = given.copy()
        try:
            pairs = encode_pairs(given, named, max_bytes=self._calls.max_bytes)
        except ValueTooLarge:
            raise self._too_large() from None
        self._calls.ask("update", pairs=pairs)

    def clear(self) -> None:
        """Remove everything."""
        self._calls.ask("clear")

    def copy(self) -> dict[Any, Any]:
        """All of it as a dict, as it is at one moment."""
        return decode_items(self._some(self._calls.ask("items")))

    def __len__(self) -> int:
        return int(self._some(self._calls.ask("len"))[0])

    def __iter__(self) -> Iterator[Any]:
        return iter(self._keys())

    def __reversed__(self) -> Iterator[Any]:
        yield from reversed(self._keys())

    def keys(self) -> KeysView[Any]:
        """The keys as they are at one moment."""
        return dict.fromkeys(self._keys()).keys()

    def values(self) -> ValuesView[Any]:
        """The values as they are at one moment."""
        return self.copy().values()

    def items(self) -> ItemsView[Any, Any]:
        """Keys and values as they are at one moment."""
        return self.copy().items()

    def __eq__(self, other: object) -> bool:
        if type(other) is SharedCache:
            return True  # there is one in a worker
        return self.copy() == other if isinstance(other, Mapping) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # as a dict

    def __or__(self, other: Any) -> dict[Any, Any]:
        other = _plain(other)
        return self.copy() | other if isinstance(other, dict) else NotImplemented

    def __ror__(self, other: Any) -> dict[Any, Any]:
        return other | self.copy() if isinstance(other, dict) else NotImplemented

    def __ior__(self, other: Any) -> Self:
        self.update(other)
        return self

    def __copy__(self) -> dict[Any, Any]:
        return self.copy()

    def __deepcopy__(self, _memo: object) -> dict[Any, Any]:
        return self.copy()

    def __repr__(self) -> str:
        return repr(self.copy())

    def _keys(self) -> list[Any]:
        return decode_keys(self._some(self._calls.ask("keys")))

    def _value(self, key: Any, value: Any) -> bytes:
        try:
            return encode_value(key, value, max_bytes=self._calls.max_bytes)
        except ValueTooLarge:
            raise self._too_large() from None

    def _too_large(self) -> CacheFull:
        return CacheFull(f"this alone has more than the {self._calls.max_bytes} bytes that the cache may have")

    def _some(self, parts: list[bytes] | None) -> list[bytes]:
        if parts is None:
            raise RuntimeError("an answer without a value")
        return parts


def _plain(other: Any) -> Any:
    return other.copy() if type(other) is SharedCache else other


AS_DICT[SharedCache] = SharedCache.copy
