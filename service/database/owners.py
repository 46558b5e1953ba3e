"""Which of the services on one database are alive: each holds a lock that the kernel takes from it when it ends.

What a service has taken on is written down with its name. Whoever finds the name of one that is dead takes over. A
process that is only stopped, or slow, keeps its lock: nothing is ever taken from the living.
"""

import contextlib
import fcntl
import os
import re
import secrets
from pathlib import Path
from typing import Final

from service.errors import DatabaseUnusable

_NAME: Final = re.compile(r"[0-9a-f]{32}")
FILE_MODE: Final = 0o600


class Owner:
    """This service, among those of the database at `path`."""

    def __init__(self, path: Path) -> None:
        self.name = secrets.token_hex(16)
        self._folder = Path(f"{path}-owners")
        self._fd = -1

    def open(self) -> None:
        """Be alive from now on. Raises: DatabaseUnusable."""
        coming = self._folder / f"{self.name}.new"
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self._fd = os.open(coming, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, FILE_MODE)
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Under its name only when it is locked: in between somebody else could take it for a dead one's.
            coming.rename(self._folder / self.name)
        except OSError as error:
            self.close()
            raise DatabaseUnusable(f"The folder {self._folder} cannot be used: {error.strerror}.") from error
        for path in self._folder.iterdir():
            if _NAME.fullmatch(path.name) and not self.is_alive(path.name):
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Be dead: who looks takes over. May be called again."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with contextlib.suppress(OSError):
                (self._folder / self.name).unlink(missing_ok=True)
            os.close(fd)

    def has_others(self) -> bool:
        """Whether another service on this database runs."""
        with contextlib.suppress(OSError):
            return any(path.name != self.name and self.is_alive(path.name) for path in self._folder.iterdir())
        return True

    def is_alive(self, name: str) -> bool:
        """Whether the service of this name runs. Where that cannot be found out, it does."""
        if name == self.name:
            return self._fd >= 0
        if not _NAME.fullmatch(name):
            return False
        try:
            fd = os.open(self._folder / name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(fd)
        return False
