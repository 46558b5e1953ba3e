"""The service's secret for callbacks: what the operator gives, or what was made at the first start."""

import os
import secrets
from pathlib import Path
from typing import Final

from service.errors import DatabaseUnusable

FILE_MODE: Final = 0o600
_BYTES: Final = 32


def read_or_make(path: Path) -> bytes:
    """What is in this file, made if there is none. Blocks. Raises: DatabaseUnusable."""
    try:
        coming = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        if not path.exists():
            fd = os.open(coming, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, FILE_MODE)
            try:
                os.write(fd, secrets.token_bytes(_BYTES))
                os.fsync(fd)
            finally:
                os.close(fd)
            try:
                # A service that starts at the same time may be first: all of them take the same one.
                path.hardlink_to(coming)
            except FileExistsError:
                pass
            finally:
                coming.unlink()
        return path.read_bytes()
    except OSError as error:
        raise DatabaseUnusable(f"The file {path} cannot be used: {error.strerror}.") from error
