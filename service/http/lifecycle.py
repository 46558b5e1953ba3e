"""Whether the service takes runs, and how many are under way."""

import asyncio
from collections.abc import Callable

from service.errors import Draining


class Lifecycle:
    """Starting, ready, draining. `with lifecycle:` around each run, so that a shutdown knows what it waits for."""

    def __init__(self) -> None:
        self.ready = False
        self.draining = False
        self.runs = 0
        self.on_grace_over: Callable[[], None] = lambda: None
        self.on_drain: Callable[[], None] = lambda: None
        self._none_left = asyncio.Event()

    def __enter__(self) -> None:
        """Count one run. Raises: Draining when no new one is taken."""
        self.check()
        self.runs += 1

    def __exit__(self, *_: object) -> None:
        self.runs -= 1
        if self.runs == 0 and self.draining:
            self._none_left.set()

    def check(self) -> None:
        """Raises: Draining when no new run is taken."""
        if self.draining or not self.ready:
            raise Draining("The service is going down." if self.draining else "The service is starting.")

    async def drain(self, *, grace_ms: int) -> None:
        """Take no new runs and wait for those under way; after the grace period they are ended, and told so.

        Only once: an application is shut down both when it is told to and when it is cleaned up.
        """
        if self.draining:
            return
        self.draining = True
        self.on_drain()
        self._none_left.clear()
        if self.runs == 0:
            return
        try:
            async with asyncio.timeout(grace_ms / 1000):
                await self._none_left.wait()
        except TimeoutError:
            self.on_grace_over()
