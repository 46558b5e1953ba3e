"""The database's schema: files that are applied in order, each once and whole.

What was applied is in the table `migrations`, with a checksum. A file that was edited since, or a database that knows
migrations which this version does not have, is refused: nobody knows then what is in it. All of this blocks, and
belongs in a thread.
"""

import hashlib
import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from service.domain.times import now_ms, rfc3339
from service.errors import DatabaseUnusable

_NAME: Final = re.compile(r"([0-9]{4})_([a-z0-9_]+)\.sql")
_KNOWN: Final = """
    CREATE TABLE IF NOT EXISTS migrations (
        number INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        checksum TEXT NOT NULL,
        applied TEXT NOT NULL
    ) STRICT
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step from a schema to the next."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """Tells this text from every other."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def folder() -> Path:
    """Where the files are: beside the code when it is installed, at the top of the tree when it is not."""
    installed = Path(__file__).parents[1] / "migrations"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "migrations"


def load(path: Path) -> list[Migration]:
    """The migrations of a folder, in order. Raises: DatabaseUnusable if a name is none, or a number is there twice."""
    found: list[Migration] = []
    for file in sorted(path.glob("*.sql")):
        match = _NAME.fullmatch(file.name)
        if match is None or (found and found[-1].number == int(match[1])):
            raise DatabaseUnusable(f"{file.name} is no name for a migration, or its number is there twice")
        found.append(Migration(int(match[1]), match[2], file.read_text()))
    return found


def migrate(connection: sqlite3.Connection, migrations: Sequence[Migration]) -> int:
    """Apply what is missing; each is there with all it does, or not at all. Returns how many were applied.

    Several services may do this at once: each step looks again, with the lock held, whether it is still to be done.
    Raises: DatabaseUnusable, sqlite3.Error.
    """
    connection.execute(_KNOWN)
    applied = 0
    for migration in migrations:
        connection.execute("BEGIN IMMEDIATE")
        try:
            if _is_missing(connection, migration, newest=migrations[-1].number):
                for statement in _statements(migration):
                    connection.execute(statement)
                connection.execute(
                    "INSERT INTO migrations VALUES (?, ?, ?, ?)",
                    (migration.number, migration.name, migration.checksum, rfc3339(now_ms())),
                )
                applied += 1
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
    return applied


def _is_missing(connection: sqlite3.Connection, migration: Migration, *, newest: int) -> bool:
    known: dict[int, tuple[str, str]] = {
        number: (name, checksum)
        for number, name, checksum in connection.execute("SELECT number, name, checksum FROM migrations")
    }
    if known and max(known) > newest:
        name = known[max(known)][0]
        raise DatabaseUnusable(
            f"it was made by a newer version of Skep: it has migration {max(known):04d}_{name}, this version ends with "
            f"{newest:04d}. Run the newer version, or restore a backup"
        )
    if migration.number not in known:
        return True
    if known[migration.number][1] != migration.checksum:
        raise DatabaseUnusable(
            f"migration {migration.number:04d}_{migration.name} is not the one that was applied to it: the file was "
            "edited since. Restore it, and put the change into a migration of its own"
        )
    return False


def _statements(migration: Migration) -> Iterator[str]:
    """One by one, since sqlite3's way to run many commits what came before."""
    statement = ""
    for line in migration.sql.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if any(line.strip() and not line.strip().startswith("--") for line in statement.splitlines()):
        raise DatabaseUnusable(f"migration {migration.number:04d}_{migration.name} does not end with a semicolon")
