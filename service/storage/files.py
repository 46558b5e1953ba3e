"""Files on the volume, opened so that nothing on it can lead elsewhere, block, or be half written.

Everything goes through a descriptor of the folder it is in: a name is one component, and a symbolic link is never
followed. All of this blocks, and belongs in a thread.
"""

import errno
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import BinaryIO, Final, Self

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: opening a FIFO would wait for its writer for ever.
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
FOLDER_MODE: Final = 0o700  # definitions can hold secrets in their `env`
FILE_MODE: Final = 0o600

_CLOCK_TICK_NS: Final = 20_000_000
"""More than the time within which Linux gives two changes of a file the same time stamp (4 to 10 ms)."""
_READ_ATTEMPTS: Final = 5
_TEMPORARY: Final = re.compile(r"\.[a-z.]+\.(?P<owner>[0-9a-f]{8})\.[0-9]+\.tmp")


class Unusable(Exception):
    """What stands in the place of a file is no file that can be read; the message says what."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What tells one content of a file from another without reading it.

    The change time is in it because nobody can set it back: an edit that keeps size and modification time changes it.
    """

    mtime_ns: int
    ctime_ns: int
    size: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        return cls(status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)


@contextmanager
def open_folder(name: str, *, parent: int) -> Iterator[int]:
    """A descriptor of a folder. Raises: OSError; ENOTDIR for a symbolic link too."""
    folder = os.open(name, _FOLDER, dir_fd=parent)
    try:
        yield folder
    finally:
        os.close(folder)


def read_file(name: str, *, folder: int, max_bytes: int) -> bytes:
    """What a file holds at some moment. Raises: Unusable, OSError."""
    with _open_regular(name, folder=folder, max_bytes=max_bytes) as file:
        return file.read(max_bytes)


def read_signed(name: str, *, folder: int, max_bytes: int) -> tuple[bytes, Signature]:
    """What a file holds, and the signature of just that. Raises: Unusable, OSError.

    Waits until the last change is a tick ago: what is changed twice within a tick can have the same signature before
    and after, and the second change would never be seen.
    """
    with _open_regular(name, folder=folder, max_bytes=max_bytes) as file:
        for _ in range(_READ_ATTEMPTS):
            before = os.fstat(file.fileno())
            age_ns = time.time_ns() - before.st_ctime_ns
            file.seek(0)
            content = file.read(max_bytes)
            after = os.fstat(file.fileno())
            is_settled = not 0 <= age_ns < _CLOCK_TICK_NS
            if is_settled and Signature.of(before) == Signature.of(after) and len(content) == after.st_size:
                return content, Signature.of(after)
            time.sleep(_CLOCK_TICK_NS / 1e9)
    raise Unusable("it changes faster than it can be read")


@contextmanager
def _open_regular(name: str, *, folder: int, max_bytes: int) -> Iterator[BinaryIO]:
    descriptor = os.open(name, _READ, dir_fd=folder)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise Unusable("it is not a regular file")
        if status.st_size > max_bytes:
            raise Unusable(f"it has {status.st_size} bytes, where {max_bytes} is the most")
        with open(descriptor, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(descriptor)


def exists(name: str, *, folder: int) -> bool:
    """Whether anything has this name, a dangling symbolic link included. Raises: OSError."""
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        if error.errno not in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
            raise
        return False
    return True


class Replacer:
    """Writes whole files in place of others: a reader sees the old one or the new one, whenever it looks.

    Who writes a definition holds the lock of its workspace: temporary files that are not its own are left over from a
    crash, or a bundle of the definition that is just being replaced.
    """

    def __init__(self) -> None:
        self._owner = secrets.token_hex(4)
        self._serial = count()

    def replace(self, name: str, content: bytes, *, folder: int, durable: bool) -> Signature:
        """Put `content` in the place of a file. If `durable`, the disk has it when this returns.

        Raises: OSError, and then nothing has changed; only if the very last step fails, the flush of the folder, is
        the new content there already, while a power cut could still bring back the old.
        """
        temporary = f".{name}.{self._owner}.{next(self._serial)}.tmp"
        descriptor = os.open(temporary, _CREATE, FILE_MODE, dir_fd=folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                if durable:
                    os.fsync(descriptor)
                os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
                signature = Signature.of(os.fstat(descriptor))  # now: renaming changes the change time
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary, dir_fd=folder)
            raise
        if durable:
            os.fsync(folder)
        return signature

    def remove_leftovers(self, *, folder: int) -> None:
        """Remove what a crash left in this folder. Raises: OSError."""
        for name in os.listdir(folder):
            match = _TEMPORARY.fullmatch(name)
            if match is not None and match["owner"] != self._owner:
                remove(name, folder=folder)


def remove(name: str, *, folder: int) -> bool:
    """Unlink a file, or a symbolic link itself; False if there is none. Raises: OSError."""
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return False
    return True


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable. Raises: OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
