"""Where a program's choices come from: one string of bytes, which hypothesis draws whole."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Choices:
    """Reads choices off a string of bytes. When it has ended every choice is the first, which is the simplest one.

    One draw a program, because hypothesis takes longer over a draw than the grammar over a choice.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def below(self, limit: int) -> int:
        """A number from 0, below a limit of at most 256."""
        if self._at >= len(self._data):
            return 0
        self._at += 1
        return self._data[self._at - 1] % limit

    def pick(self, options: Sequence[T]) -> T:
        return options[self.below(len(options))]

    def rarely(self) -> bool:
        """Once in 256."""
        return self.below(256) == 255

    def chance(self, percent: int) -> bool:
        return self.below(100) >= 100 - percent
