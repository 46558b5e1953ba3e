"""Locks between the services on one volume: who changes a workspace is alone with it.

A byte of one file for each workspace, by a hash of its name, locked with a descriptor that is opened for it (open file
description locks, fcntl(2)): the kernel lets go when its holder ends, however it ends, and nothing is left behind. A
second byte beside it is where one waits to be next. Without it a service with many changes of a workspace would take
the lock again before another had looked.
"""

import asyncio
import errno
import fcntl
import hashlib
import os
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final
from weakref import WeakValueDictionary

from service.errors import VolumeUnavailable
from service.storage.files import FILE_MODE

LOCKS: Final = ".locks"
LOOK_EVERY_S: Final = 0.005
_OPEN: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FLOCK: Final = struct.Struct("hhqqi0q")
"""struct flock: type, whence, start, length, process (0 for a lock of this kind)."""


InThread = Callable[[Callable[[], bool]], Awaitable[bool]]


class Lock:
    """The lock of one workspace, to be taken once."""

    def __init__(self, name: str) -> None:
        self._name = name
        digest = hashlib.blake2b(name.encode(), digest_size=6).digest()
        self._place = 2 * int.from_bytes(digest)
        self._fd = -1
        self._is_next = False

    async def take(self, *, root: int, timeout_s: float, in_thread: InThread) -> None:
        """Wait until it is held. `root`: a descriptor of the volume. Raises: VolumeUnavailable."""
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_s
        try:
            # Looked for again and again, since a thread that waits in the kernel cannot be told to stop.
            while not await in_thread(lambda: self.attempt(root)):
                if loop.time() >= until:
                    reason = f"another service has been changing {self._name!r} for {timeout_s:g} s"
                    raise VolumeUnavailable(f"The definition cannot be stored: {reason}.")
                await asyncio.sleep(LOOK_EVERY_S)
        except OSError as error:
            raise VolumeUnavailable(f"The definition cannot be stored: {error.strerror}.") from error

    def release(self) -> None:
        """Let go of everything."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def attempt(self, root: int) -> bool:
        if self._fd < 0:
            self._fd = os.open(LOCKS, _OPEN, FILE_MODE, dir_fd=root)
        self._is_next = self._is_next or self._lock(self._place + 1)
        if self._is_next and self._lock(self._place):
            self._set(self._place + 1, fcntl.F_UNLCK)
            return True
        return False

    def _lock(self, place: int) -> bool:
        try:
            self._set(place, fcntl.F_WRLCK)
        except OSError as error:
            if error.errno in {errno.EAGAIN, errno.EACCES}:
                return False
            raise
        return True

    def _set(self, place: int, kind: int) -> None:
        fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, _FLOCK.pack(kind, os.SEEK_SET, place, 1, 0))


class Locks:
    """The locks of all workspaces, as one service takes them.

    Of those who wait here for the same one only the first looks for it: hundreds would keep each other from it, and
    others from the threads.
    """

    def __init__(self) -> None:
        self._queues: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def held(self, name: str, *, root: int, timeout_s: float, in_thread: InThread) -> AsyncIterator[None]:
        """Hold one, after those who were here before. Raises: as `Lock.take`."""
        async with self._queues.setdefault(name, asyncio.Lock()):
            lock = Lock(name)
            try:
                await lock.take(root=root, timeout_s=timeout_s, in_thread=in_thread)
                yield
            finally:
                lock.release()
