"""The keys that secrets are encrypted with: those of the setting, and those of the file beside the database."""

from collections.abc import Sequence
from pathlib import Path

import structlog

from service.database.key_file import KeyFileUnusable, make_key, read_keys
from service.domain.sealing import Key

_log = structlog.get_logger()


def key_path(database: Path) -> Path:
    """Where the file of a database stands."""
    return database.with_name(f"{database.name}.key")


class SealingKeys:
    """Every key that was seen since the start decrypts; the first of the setting encrypts, or else of the file."""

    def __init__(self, given: Sequence[Key], path: Path) -> None:
        self.path = path
        self.given = tuple(given)
        self.first: Key | None = None
        self.trouble = ""
        """Why nothing can be encrypted; empty if it can."""
        self.kept: frozenset[str] = frozenset()
        """The names of those that will be there after a restart, too: what is known beyond them is in memory only."""
        self._known: dict[str, Key] = {}

    def find(self, key_id: str) -> Key | None:
        """The key of this name, if it is known."""
        return self._known.get(key_id)

    def refresh(self, *, may_make: bool = False) -> None:
        """Read the file again, which may have been rotated or restored. Blocks for as long as a small file takes.

        `may_make`: nothing was ever encrypted, so that a file that is not there is made.
        """
        trouble = ""
        in_file: tuple[Key, ...] = ()
        try:
            in_file = read_keys(self.path)
            if not in_file and not self.given and may_make:
                make_key(self.path)
                in_file = read_keys(self.path)
                _log.info("key made", path=str(self.path))
        except KeyFileUnusable as error:
            trouble = str(error)
        except OSError as error:
            trouble = f"the key file {self.path} cannot be made: {error.strerror}"
        keys = (*self.given, *in_file)
        self._known.update({key.id: key for key in keys})
        self.kept = frozenset(key.id for key in keys)
        self.first = keys[0] if keys else None
        if keys:
            self.trouble = ""
        else:
            self.trouble = trouble or f"the key file {self.path} is missing"
