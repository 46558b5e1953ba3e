"""What a worker and the service say about a cache that several workers share, and the sums that both sides do alike."""

import math
from typing import Annotated, Final, Literal

import msgspec

from sandbox.protocol.message import Message

CACHE_KEY_MAX_BYTES: Final = 8192
"""Of a key, as it is written here."""
CACHE_PAIRS_MAX: Final = 8192
"""In one operation. Checked before they are decoded: so many take the service some milliseconds."""
CACHE_PAIRS_OVERHEAD_BYTES: Final = 32 * CACHE_PAIRS_MAX
"""What so many pairs take in a frame beside their bytes."""
CACHE_DIGITS_MAX: Final = 4300
"""Of a number: what Python itself reads and writes as text without being asked twice."""

CacheVerb = Literal[
    "get", "has", "set", "setdefault", "delete", "pop", "popitem", "update", "increment", "clear", "len", "keys",
    "items",
]  # fmt: skip
CacheStatus = Literal["done", "missing", "full", "no-number", "too-large"]

_Key = Annotated[bytes, msgspec.Meta(max_length=CACHE_KEY_MAX_BYTES)]
Pair = tuple[_Key, _Key, bytes]
"""Key, the key as it is shown, value."""
_INT_MAX: Final = 10**CACHE_DIGITS_MAX
_TOO_LARGE: Final = "the sum is too large to be kept in a cache"


class CacheOp(Message, frozen=True, tag="cache"):
    """One operation on the workspace's cache; the worker does nothing else until it has the answer."""

    op: int
    """Chosen by the worker: each greater than all before it on this connection."""
    verb: CacheVerb
    key: _Key = b""
    """The same bytes for keys that are equal in a dict. The service does not look into them."""
    shown: _Key = b""
    """The key as it is given back (`True` equals 1 and is not it); empty if that is what `key` says."""
    value: bytes = b""
    """JSON; to `increment`, the number that is added."""
    pairs: Annotated[list[Pair], msgspec.Meta(max_length=CACHE_PAIRS_MAX)] = msgspec.field(default_factory=list)
    """To `update`."""


class CacheAnswer(Message, frozen=True, tag="cache-answer"):
    """What became of an operation. `full`, `no-number` and `too-large` have changed nothing."""

    op: int
    status: CacheStatus
    parts: list[bytes] = msgspec.field(default_factory=list)
    """The value; of `keys` the keys as they are shown; of `items` and `popitem` also the values, in turn; or why."""
    more: bool = False
    """There is another part of the same answer to come."""


def increased(value: object, by: object) -> int | float:
    """The sum of two numbers, by the one rule for all caches. Raises: TypeError, OverflowError."""
    try:
        total = _number(value) + _number(by)
    except OverflowError:
        # An int that no float is as large as.
        raise OverflowError(_TOO_LARGE) from None
    if abs(total) < (_INT_MAX if type(total) is int else math.inf):
        return total
    raise OverflowError(_TOO_LARGE)


def _number(value: object) -> int | float:
    # Exactly these: True counts nothing, and what a subclass does when it is added is its own affair.
    if type(value) is int or type(value) is float:
        return value
    raise TypeError(f"increment() is for numbers, not for {type(value).__name__!r}")
