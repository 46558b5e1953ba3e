"""Requests without a task each, where the interpreter has no eager tasks (before 3.12).

aiohttp runs every request in a task of its own and waits for it in the connection's: two turns of the loop, in which
others get theirs first, for a fresh context that nothing here looks into. From 3.12 on that task begins at once, and
costs little. Before, the connection is given a loop that makes no task of a coroutine but gives it back to be awaited:
it then runs in the connection's own task. A caller that leaves cancels that one, and so its run, as before.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

IS_NEEDED: Final = not hasattr(asyncio, "eager_task_factory")


class DirectLoop:
    """What a connection asks of its loop."""

    __slots__ = ("call_at", "create_future", "time")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.call_at: Callable[..., asyncio.TimerHandle] = loop.call_at
        self.create_future: Callable[[], asyncio.Future[Any]] = loop.create_future
        self.time: Callable[[], float] = loop.time

    def create_task(self, coroutine: Coroutine[Any, Any, Any]) -> Coroutine[Any, Any, Any]:
        """The coroutine itself."""
        return coroutine
