"""The audit log: every line stays as it was written, and can be found again."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from service.database import audit
from service.database.audit import Actor, Wanted, lines
from service.database.database import Database, Writing
from service.database.keys import Keys
from service.database.sealing_keys import SealingKeys, key_path
from service.database.secrets import Secrets
from service.domain.keys import NewKey
from service.domain.times import now_ms, rfc3339
from service.errors import KeyNameTaken
from tests.keyed import ADMIN_KEY, TESTER, Keyed, bearer, call, keys_of
from tests.skep import client_of


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(tmp_path / "skep.db")
    await database.open()
    async with database.writing() as write:
        for number in range(6):
            actor = Actor(f"key-{number % 2}", "192.0.2.1")
            await audit.append(write, actor, "a.done", workspace=f"w-{number % 3}", details={"number": number})
    yield database
    await database.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET key = 'somebody else'",
        "UPDATE audit SET id = id + 100",
        "DELETE FROM audit",
        "DELETE FROM audit WHERE id = 1",
        "REPLACE INTO audit (id, time_ms, key, address, action) VALUES (1, 0, '', '', '')",
        "INSERT OR REPLACE INTO audit (id, time_ms, key, address, action) VALUES (1, 0, '', '', '')",
        "INSERT INTO audit VALUES (1, 0, '', '', '', '', '', '{}') ON CONFLICT (id) DO UPDATE SET key = 'x'",
    ],
)
async def test_no_line_is_changed_or_deleted(database: Database, statement: str) -> None:
    before = await lines(database, Wanted(), limit=100)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        async with database.writing() as write:
            await write.execute(statement)
    assert await lines(database, Wanted(), limit=100) == before
    # Nor by who opens the file.
    with sqlite3.connect(database.path) as other, pytest.raises(sqlite3.IntegrityError):
        other.execute(statement)


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (Wanted(), [5, 4, 3, 2, 1, 0]),
        (Wanted(workspace="w-1"), [4, 1]),
        (Wanted(key="key-0"), [4, 2, 0]),
        (Wanted(workspace="w-1", key="key-0"), [4]),
        (Wanted(action="a.done", before=3), [1, 0]),
        (Wanted(action="a"), []),
        (Wanted(until_ms=1), []),
        (Wanted(since_ms=1), [5, 4, 3, 2, 1, 0]),
    ],
)
async def test_lines_are_found_by_what_they_say(database: Database, wanted: Wanted, numbers: list[int]) -> None:
    found, more = await lines(database, wanted, limit=100)
    assert ([line.details["number"] for line in found], more) == (numbers, False)


async def test_what_is_done_with_keys_is_told_and_what_fails_is_not(tmp_path: Path) -> None:
    async with keys_of(tmp_path / "skep.db") as keys:
        key, _ = await keys.create(NewKey("n", "run", ("a",)), TESTER)
        with pytest.raises(KeyNameTaken):
            await keys.create(NewKey("n", "run"), TESTER)
        await keys.page(TESTER, after=0, limit=1)
        await keys.revoke(key.id, TESTER)
        await keys.revoke(key.id, TESTER)
        found, _ = await lines(keys._database, Wanted(), limit=100)
    assert [(line.action, line.subject, line.key) for line in reversed(found)] == [
        ("key.created", key.id, "tester"),
        ("keys.listed", None, "tester"),
        ("key.revoked", key.id, "tester"),
    ]
    assert found[-1].details == {"name": "n", "role": "run", "workspaces": ["a"]}


async def test_the_audit_log_over_http(keyed: Keyed) -> None:
    since = rfc3339(now_ms())
    async with client_of(keyed.skep) as client:
        admin = bearer(ADMIN_KEY)
        for _ in range(3):
            await call(client, "GET", "/v2/keys", keyed.by("admin all"))
        path = f"/v2/audit?action=keys.listed&key=admin%20all&since={since}&limit=2"
        first = await call(client, "GET", path, admin)
        assert len(first.body["items"]) == 2
        second = await call(client, "GET", f"{path}&cursor={first.body['cursor']}", admin)
        assert (len(second.body["items"]), "cursor" in second.body) == (1, False)
        times = [line["time"] for line in first.body["items"] + second.body["items"]]
        assert times == sorted(times, reverse=True)
        nothing = await call(client, "GET", f"/v2/audit?until={since}&since={since}", admin)
        assert nothing.body["items"] == []
        bad = await call(client, "GET", "/v2/audit?since=x&until=2026-01-01&limit=1", admin)
        assert [problem["path"] for problem in bad.body["details"]] == ["query.since", "query.until"]
        for query in ("limit=0", "cursor=x", "cursor=LTE", "colour=red", "key=a&key=b"):
            assert (await call(client, "GET", f"/v2/audit?{query}", admin)).status == 400
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            assert (await call(client, method, "/v2/audit", admin)).status == 405


async def test_who_reads_shares_the_transactions_of_others_and_a_writer_waits_for_few(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    transactions = 0
    real = database.writing

    def counted() -> AbstractAsyncContextManager[Writing]:
        nonlocal transactions
        transactions += 1
        return real()

    monkeypatch.setattr(database, "writing", counted)
    secrets, keys = Secrets(database, SealingKeys((), key_path(database.path))), Keys(database)
    actor = Actor("reader", "192.0.2.1")
    await asyncio.gather(
        *(secrets.listed(actor, "w") for _ in range(100)), *(keys.page(actor, after=0, limit=1) for _ in range(100))
    )
    assert transactions <= 10
    for action in ("secrets.listed", "keys.listed"):
        assert len((await lines(database, Wanted(action=action), limit=200))[0]) == 100
