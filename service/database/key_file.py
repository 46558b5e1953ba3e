"""The file that keys are in where no setting names one: made at the first start, readable by the service alone."""

import contextlib
import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from service.domain.sealing import Key, new_key, parse_key

MODE: Final = 0o600
MAX_BYTES: Final = 64 * 1024
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class KeyFileUnusable(Exception):
    """It cannot be read, is something else than a file, or others can read it."""


def read_keys(path: Path) -> tuple[Key, ...]:
    """Every key in it, one a line, the first of which encrypts; none where there is no file.

    Raises: KeyFileUnusable.
    """
    try:
        # A pipe would be waited for, by everybody who writes to the database.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            content = os.read(descriptor, MAX_BYTES) if stat.S_ISREG(status.st_mode) else b""
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        return ()
    except OSError as error:
        reason = "it is a symbolic link" if error.errno == errno.ELOOP else error.strerror
        raise KeyFileUnusable(f"the key file {path} cannot be read: {reason}") from None
    if not stat.S_ISREG(status.st_mode):
        raise KeyFileUnusable(f"the key file {path} is no regular file")
    if status.st_mode & _OTHERS:
        raise KeyFileUnusable(f"the key file {path} can be read by others; make it its owner's alone (chmod 600)")
    try:
        keys = tuple(parse_key(line) for line in content.decode("ascii").split())
    except ValueError:
        raise KeyFileUnusable(f"the key file {path} holds something that is no key") from None
    if not keys:
        raise KeyFileUnusable(f"the key file {path} is empty")
    return keys


def make_key(path: Path) -> None:
    """Put a new key there unless there is one already: never half of one, never another in its place.

    Raises: OSError.
    """
    beside = _written(path, [new_key()])
    try:
        with contextlib.suppress(FileExistsError):  # another service was first
            os.link(beside, path)
    finally:
        beside.unlink()
    _flush_folder(path)


def write_keys(path: Path, keys: Sequence[Key]) -> None:
    """Put these in the place of those there are: all of the old, or all of the new, whatever happens.

    Raises: OSError.
    """
    _written(path, keys).replace(path)
    _flush_folder(path)


def _written(path: Path, keys: Sequence[Key]) -> Path:
    """A file beside, on disk."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, MODE)
    with os.fdopen(descriptor, "w") as file:
        with contextlib.suppress(FileNotFoundError, PermissionError):
            # Whoever rotates need not be whom the service runs as, which must be able to read it.
            owner = path.stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        file.write("".join(f"{key.written()}\n" for key in keys))
        file.flush()
        os.fsync(file.fileno())
    return beside


def _flush_folder(path: Path) -> None:
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
