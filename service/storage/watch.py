"""Whether the volume can be read, found out in the background: no request waits for a disk."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Protocol

import structlog

from service.errors import VolumeUnavailable
from service.storage.reasons import unreadable

EVERY_S: Final = 0.25
ANSWER_S: Final = 3.0
"""A check that takes longer says that there is no answer."""

_log = structlog.get_logger()


class Checked(Protocol):
    """What is watched: the volume."""

    def check(self) -> "asyncio.Future[None]":
        """Look at it. The future fails with an OSError if it cannot be read."""


class VolumeWatch:
    """Looks at the volume four times a second."""

    def __init__(self, volume: Checked, *, every_s: float = EVERY_S, answer_s: float = ANSWER_S) -> None:
        self._trouble = ""
        """Why the volume cannot be read; empty if it can."""
        self._volume = volume
        self._every_s = every_s
        self._answer_s = answer_s

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Watch; a look that has not ended on exit is not waited for."""
        watch = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch

    def check(self) -> None:
        """Raises: VolumeUnavailable when the volume could not be read a moment ago."""
        if self._trouble:
            raise VolumeUnavailable(self._trouble)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            try:
                self._tell(await self._look())
            except Exception:  # noqa: BLE001  # a side task: it must not end, and nobody else would hear of it
                _log.exception("volume not checked")

    async def _look(self) -> str:
        look = self._volume.check()
        await asyncio.wait([look], timeout=self._answer_s)
        if not look.done():
            self._tell("The volume cannot be read: it does not answer.")
        try:
            await look
        except OSError as error:
            return str(unreadable(error))
        return ""

    def _tell(self, trouble: str) -> None:
        if trouble and not self._trouble:
            _log.warning("volume lost", reason=trouble)
        elif self._trouble and not trouble:
            _log.info("volume back")
        self._trouble = trouble
