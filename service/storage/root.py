"""The volume's folder, held open: nothing that happens to the way there matters, unless another folder is there now.

All of this blocks, and belongs in a thread.
"""

import os
from pathlib import Path
from typing import Final

import structlog

from service.storage import files

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC

_log = structlog.get_logger()


class Root:
    """A descriptor that stays the same while it is open, whatever folder it is of."""

    def __init__(self, dirpath: Path) -> None:
        self.fd = -1
        self._dirpath = dirpath

    def open(self) -> None:
        """Make the folder if there is none, and hold on to it. Raises: OSError."""
        missing = [path for path in (self._dirpath, *self._dirpath.parents) if not path.exists()]
        self._dirpath.mkdir(mode=files.FOLDER_MODE, parents=True, exist_ok=True)
        for path in missing:
            files.sync_folder(path.parent)
        self.fd = os.open(self._dirpath, _FOLDER)

    def close(self) -> None:
        """Let go. May be called again."""
        root, self.fd = self.fd, -1
        if root >= 0:
            os.close(root)

    @property
    def is_removed(self) -> bool:
        """Whether the folder that is held has been deleted: what was in it is gone, for good."""
        return os.fstat(self.fd).st_nlink == 0

    def check(self) -> None:
        """See whether it can be read, and follow when there is another folder in its place: mounted again, or restored
        from a backup. Raises: OSError.
        """
        there, held = self._dirpath.stat(), os.fstat(self.fd)
        if not os.path.samestat(there, held):
            other = os.open(self._dirpath, _FOLDER)
            try:
                # In one step, and with the number kept: whoever is reading has the one folder or the other.
                os.dup2(other, self.fd, inheritable=False)
            finally:
                os.close(other)
            _log.warning("volume replaced", reason="there is another folder in its place")
        with files.open_folder(".", parent=self.fd) as folder, os.scandir(folder) as entries:
            next(entries, None)
