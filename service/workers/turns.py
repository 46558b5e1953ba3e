"""Answers for many callers at once, a few in each turn of the loop: whoever else is asked should not wait for all."""

import asyncio
from collections import deque
from typing import Final

from service.domain.outcome import Outcome

A_TURN_MAX: Final = 25
"""Each wakes a caller, who then writes a response: 80 µs."""

Waiter = asyncio.Future[Outcome]


class Turns:
    """Gives answers, in order."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._given = 0
        """In this turn."""
        self._left: deque[tuple[Waiter, Outcome | Exception]] = deque()

    def give(self, waiter: Waiter, answer: Outcome | Exception) -> None:
        """Answer now, or after those that were first. One that has an answer by then keeps it."""
        self._left.append((waiter, answer))
        if self._given == 0:
            self._loop.call_soon(self._next_turn)
        self._give()

    def _next_turn(self) -> None:
        self._given = 0
        self._give()
        if self._given:
            self._loop.call_soon(self._next_turn)

    def _give(self) -> None:
        while self._left and self._given < A_TURN_MAX:
            self._given += 1
            waiter, answer = self._left.popleft()
            if waiter.done():
                continue
            if isinstance(answer, Exception):
                waiter.set_exception(answer)
            else:
                waiter.set_result(answer)
