"""What is kept of workspaces that are no more."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.database.audit import Actor
from service.database.changes import Changes
from service.database.database import Database
from service.domain.workspace import Workspace
from service.storage.workspaces import Volume
from service.usecases.ledger import Ledger, Origin
from service.usecases.revisions import Revisions

ORIGIN = Origin(Actor("key", "127.0.0.1"))


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(tmp_path / "skep.db")
    await database.open()
    yield database
    await database.close()


def _workspace(name: str, number: int) -> Workspace:
    return Workspace.from_document(name, {"functions": {"f": {"code": f"return {number}"}}})


async def test_of_what_was_deleted_little_is_kept_and_not_forever(volume: Volume, database: Database) -> None:
    ledger = Ledger(database, volume, keep=5, keep_deleted=2)
    for name in ("a", "b", "c", "b"):
        first, second, third = (_workspace(name, number) for number in range(3))
        number = (await ledger.record(first, None, ORIGIN)).number
        await ledger.record(second, first, ORIGIN)
        await ledger.record(third, second, ORIGIN)
        await ledger.record(first, third, ORIGIN, number=number)
        await ledger.delete(name, first, ORIGIN)
    rows = await database.rows("SELECT workspace, number FROM revisions ORDER BY workspace, number")
    assert [tuple(row) for row in rows] == [("b", 4), ("b", 6), ("c", 1), ("c", 3)]
    # What lives again is no longer among them.
    await ledger.record(_workspace("b", 0), None, ORIGIN, number=4)
    assert [row["workspace"] for row in await database.rows("SELECT workspace FROM deleted")] == ["c"]


async def test_a_name_that_was_forgotten_begins_with_1_and_runs_nothing_of_before(
    volume: Volume, database: Database
) -> None:
    ledger, revisions = Ledger(database, volume, keep=5, keep_deleted=0), Revisions(database, volume)
    changes = Changes(database)
    revisions.follow(changes)
    async with changes.running():
        for workspace in (_workspace("a", 1), _workspace("a", 2)):
            assert (await ledger.record(workspace, None, ORIGIN)).number == 1
            assert await revisions.to_run("a", 1) == workspace
            await ledger.delete("a", workspace, ORIGIN)
