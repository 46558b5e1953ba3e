"""A number that all services on one database see at once: eight bytes that they have mapped into memory.

To look at it takes a tenth of a microsecond, so that every request can. It only ever says that something is new; what
that is stands in the database. SQLite's write-ahead log has the same limit: all of them must be on one machine.
"""

import fcntl
import mmap
import os
import struct
from pathlib import Path
from typing import Final

from service.errors import DatabaseUnusable

_NUMBER: Final = struct.Struct("=Q")
FILE_MODE: Final = 0o600


class Counter:
    """The number of the last change that was committed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1
        self._memory: mmap.mmap | None = None

    def open(self, least: int) -> None:
        """Make the file if there is none. It says `least` from now on, or more. Raises: DatabaseUnusable."""
        try:
            self._fd = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
            # Written, not only made longer: in a full file system a page without a block would end us with SIGBUS.
            if os.fstat(self._fd).st_size != _NUMBER.size:
                os.pwrite(self._fd, _NUMBER.pack(0), 0)
                os.ftruncate(self._fd, _NUMBER.size)
            self._memory = mmap.mmap(self._fd, _NUMBER.size)
        except OSError as error:
            self.close()
            raise DatabaseUnusable(f"The file {self._path} cannot be used: {error.strerror}.") from error
        self.raise_to(least)

    def close(self) -> None:
        """Let go. May be called again."""
        memory, self._memory = self._memory, None
        if memory is not None:
            memory.close()
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    @property
    def value(self) -> int:
        """What it says now."""
        if self._memory is None:
            return 0
        number: int = _NUMBER.unpack_from(self._memory)[0]
        return number

    def raise_to(self, value: int) -> None:
        """It never says less than it did: who comes late changes nothing."""
        if self._memory is None:
            return
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        try:
            if value > self.value:
                _NUMBER.pack_into(self._memory, 0, value)
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)
