"""Every deploy is a revision: numbered, kept, compared, and live again in one step."""

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from service.database.audit import Actor
from service.database.database import Database
from service.domain.workspace import Workspace
from service.errors import DatabaseUnavailable
from service.storage.workspaces import Volume
from service.usecases.ledger import FOUND, Ledger, Origin
from tests.skep import Answer, Client, Skep, client_of, running_skep

CONNECTIONS = 32


@pytest.fixture(scope="module")
def skep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Skep]:
    with running_skep(tmp_path_factory.mktemp("revisions"), {"REVISIONS_MAX": 5}) as skep:
        yield skep


@pytest.fixture
async def client(skep: Skep) -> AsyncIterator[Client]:
    async with client_of(skep) as client:
        yield client


async def _revisions(client: Client, workspace: str, query: str = "") -> list[dict[str, Any]]:
    answer = await client.call("GET", f"/v2/functions/{workspace}/revisions{query}")
    assert answer.status == 200, answer.body
    items: list[dict[str, Any]] = answer.body["items"]
    return items


async def _activate(client: Client, workspace: str, number: int, **options: Any) -> Answer:
    return await client.call("POST", f"/v2/functions/{workspace}/revisions/{number}/activate", **options)


async def test_every_deploy_is_a_numbered_revision(client: Client) -> None:
    path = "/v2/functions/numbered"
    body = b'{"functions": {"f":  {"code": "return 1"}}}'
    json_type = {"Content-Type": "application/json"}
    message = {"x-deploy-message": "Première version", **json_type}
    answers = [
        await client.call("POST", path, data=body, headers=message),
        await client.call("PUT", path, data=body, headers=json_type),
        await client.call("PATCH", path, json={"description": "third"}),
        await client.call("PUT", f"{path}/functions/g", json={"code": "return 2"}),
        await client.call("DELETE", f"{path}/functions/g"),
    ]
    assert [answer.headers["x-revision"] for answer in answers] == ["1", "2", "3", "4", "5"]
    checked = await client.call("POST", f"{path}?dryRun=true", data=body, headers=json_type)
    assert (checked.status, "x-revision" in checked.headers) == (200, False)

    items = await _revisions(client, "numbered")
    assert [item["number"] for item in items] == [5, 4, 3, 2, 1]
    assert [item["live"] for item in items] == [True, False, False, False, False]
    assert [item["functions"] for item in items] == [["f"], ["f", "g"], ["f"], ["f"], ["f"]]
    assert [item["message"] for item in items] == [None, None, None, None, "Première version"]
    assert [item["functions_count"] for item in items] == [1, 2, 1, 1, 1]
    assert {item["key"] for item in items} == {"anonymous"}
    assert f'"{items[-1]["etag"]}"' == answers[0].headers["ETag"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", items[0]["created"])

    await client.deploy("numerous", {f"f{number}": "return 1" for number in range(120)})
    (item,) = await _revisions(client, "numerous")
    assert (len(item["functions"]), item["functions_count"]) == (100, 120)

    first = await client.call("GET", f"{path}/revisions?limit=2")
    second = await client.call("GET", f"{path}/revisions?limit=3&cursor={first.body['cursor']}")
    assert [item["number"] for item in second.body["items"]] == [3, 2, 1]
    assert "cursor" not in second.body


@pytest.mark.parametrize("message", ["x" * 501, "a\tb"])
async def test_a_message_that_is_none_is_refused(client: Client, message: str) -> None:
    path = "/v2/functions/messages"
    answer = await client.call("POST", path, json={"functions": {}}, headers={"x-deploy-message": message})
    assert (answer.status, answer.body["details"][0]["path"]) == (400, "header.x-deploy-message")


async def test_a_revision_is_read_and_compared(client: Client) -> None:
    await client.deploy("compared", {"f": "a = 1\nb = 2\nreturn a"})
    await client.deploy("compared", {"f": "a = 1\nb = 3\nreturn a"})
    path = "/v2/functions/compared/revisions"
    read = await client.call("GET", f"{path}/1")
    assert (read.status, read.headers["x-revision"]) == (200, "1")
    assert read.body == {"functions": {"f": {"code": "a = 1\nb = 2\nreturn a"}}}
    known = await client.call("GET", f"{path}/1", headers={"If-None-Match": read.headers["ETag"]})
    assert known.status == 304
    yaml = await client.call("GET", f"{path}/1", headers={"Accept": "application/yaml"})
    assert yaml.body.startswith(b"functions:\n  f:\n    code: |-\n")

    diff = await client.call("GET", f"{path}/2/diff")
    assert diff.body == {
        "from": 1,
        "to": 2,
        "diff": "--- compared@1\n+++ compared@2\n@@ -2,5 +2,5 @@\n   f:\n     code: |-\n       a = 1\n"
        "-      b = 2\n+      b = 3\n       return a\n",
    }
    text = await client.call("GET", f"{path}/1/diff?from=2", headers={"Accept": "text/x-diff"})
    assert b"\n-      b = 3\n+      b = 2\n" in text.body


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "nowhere/revisions", 404),
        ("GET", "nowhere/revisions/1", 404),
        ("POST", "nowhere/revisions/1/activate", 404),
        ("GET", "wrong/revisions/7", 404),
        ("GET", "wrong/revisions/7/diff", 404),
        ("GET", "wrong/revisions/1/diff", 400),
        ("GET", "wrong/revisions/1/diff?from=x", 400),
        ("GET", "wrong/revisions/1/diff?form=1", 400),
        ("GET", "wrong/revisions/0", 400),
        ("GET", "wrong/revisions/99999999999999999999", 400),
        ("GET", "wrong/revisions?cursor=eA", 400),
        ("POST", "wrong/run/f?revision=7", 404),
        ("POST", "wrong/run/f?revision=x:", 400),
        ("POST", "wrong/run/f?revison=1", 400),
        ("POST", "wrong/run?revision=1", 400),
    ],
)
async def test_what_is_not_there_is_said(client: Client, method: str, path: str, status: int) -> None:
    await client.deploy("wrong", {"f": "return 1"})
    assert (await client.call(method, f"/v2/functions/{path}")).status == status


async def test_a_revision_is_live_again_in_one_step_and_makes_no_new_number(client: Client) -> None:
    first = await client.deploy("back", {"f": "return 1"})
    second = await client.deploy("back", {"f": "return 2"})
    stale = await _activate(client, "back", 1, headers={"If-Match": first.headers["ETag"]})
    assert stale.status == 412
    assert (await _activate(client, "back", 1, params={"dryRun": "true"})).body["live"] is False
    assert (await client.run("back", "f")).result == 2
    activated = await _activate(client, "back", 1, headers={"If-Match": second.headers["ETag"]})
    assert (activated.status, activated.body["live"], activated.headers["x-revision"]) == (200, True, "1")
    assert activated.headers["ETag"] == first.headers["ETag"]
    assert (await client.run("back", "f")).result == 1
    assert [(item["number"], item["live"]) for item in await _revisions(client, "back")] == [(2, False), (1, True)]
    assert (await client.deploy("back", {"f": "return 3"})).headers["x-revision"] == "3"


async def test_a_deletion_can_be_undone(client: Client) -> None:
    await client.deploy("deleted", {"f": "return 1"})
    assert (await client.call("DELETE", "/v2/functions/deleted")).status == 204
    assert (await client.call("POST", "/v2/functions/deleted/run/f?revision=1")).status == 404
    assert [item["live"] for item in await _revisions(client, "deleted")] == [False]
    assert (await _activate(client, "deleted", 1)).status == 200
    assert (await client.run("deleted", "f")).result == 1
    assert (await client.deploy("deleted", {"f": "return 2"})).headers["x-revision"] == "2"


async def test_what_was_changed_on_the_volume_is_recorded_before_it_is_replaced(skep: Skep, client: Client) -> None:
    await client.deploy("edited", {"f": "return 1"})
    assert (await client.call("GET", "/v2/functions/edited")).headers["x-revision"] == "1"
    file = skep.functions / "edited" / "workspace.yaml"
    file.write_text("functions:\n  f:\n    code: return 'by hand'\n")
    assert (await client.run("edited", "f")).result == "by hand"
    assert [item["live"] for item in await _revisions(client, "edited")] == [False]
    assert "x-revision" not in (await client.call("GET", "/v2/functions/edited")).headers
    assert (await client.deploy("edited", {"f": "return 3"})).headers["x-revision"] == "3"
    found = (await _revisions(client, "edited"))[1]
    assert (found["number"], found["key"], found["message"]) == (2, None, FOUND)
    assert (await client.call("POST", "/v2/functions/edited/run/f?revision=2")).result == "by hand"
    file.write_text("functions:\n  f:\n    code: return 'once more'\n")
    await client.call("DELETE", "/v2/functions/edited")
    assert (await _revisions(client, "edited"))[0]["message"] == FOUND


async def test_the_oldest_revisions_go_but_what_is_live_or_named_stays(client: Client) -> None:
    for number in range(3):
        await client.deploy("many", {"f": f"return {number}"})
    await client.call("PUT", "/v2/functions/many/aliases/stable", json={"revision": 2})
    for number in range(3, 8):
        await client.deploy("many", {"f": f"return {number}"})
    assert [item["number"] for item in await _revisions(client, "many")] == [8, 7, 6, 5, 4, 2]
    assert (await client.call("POST", "/v2/functions/many/run/f?revision=1")).status == 404
    await _activate(client, "many", 4)
    await client.call("DELETE", "/v2/functions/many/aliases/stable")
    answer = await client.call("GET", "/v2/functions/many/revisions/4")
    await client.call("PATCH", "/v2/functions/many", json={"description": "newer"})
    assert answer.status == 200
    assert [item["number"] for item in await _revisions(client, "many")] == [9, 8, 7, 6, 5, 4]


async def test_a_rollback_under_load_fails_no_run_and_mixes_no_revisions(client: Client) -> None:
    """A run sees one revision, whatever becomes live while it waits for its sibling."""
    for mark in (1, 2):
        code = f"import asyncio\nbefore = {mark}\nawait asyncio.sleep(0.001)\nreturn [before, await b()]"
        await client.deploy("rollback", {"a": code, "b": f"return {mark}"})
    stop = asyncio.Event()
    seen: set[tuple[int, ...]] = set()

    async def caller() -> int:
        runs = 0
        while not stop.is_set():
            seen.add(tuple((await client.run("rollback", "a")).result))
            runs += 1
        return runs

    callers = [asyncio.create_task(caller()) for _ in range(CONNECTIONS)]
    try:
        for turn in range(8):
            number = 1 + turn % 2
            assert (await _activate(client, "rollback", number)).status == 200
            assert (await client.run("rollback", "a")).result == [number, number]
    finally:
        stop.set()
        runs = await asyncio.gather(*callers)
    assert seen == {(1, 1), (2, 2)}
    assert sum(runs) > CONNECTIONS


def test_a_revision_cannot_be_rewritten(skep: Skep) -> None:
    with sqlite3.connect(skep.folder / "skep.db") as database, pytest.raises(sqlite3.IntegrityError, match="never"):
        database.execute("UPDATE revisions SET message = 'another'")


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(tmp_path / "skep.db")
    await database.open()
    yield database
    await database.close()


def _workspace(code: str) -> Workspace:
    return Workspace.from_document("w", {"functions": {"f": {"code": code}}})


ORIGIN = Origin(Actor("key", "127.0.0.1"))
NEVER_COMMITS = """
    CREATE TABLE parents (id INTEGER PRIMARY KEY);
    CREATE TABLE children (id INTEGER REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED);
    CREATE TRIGGER refuse AFTER INSERT ON audit BEGIN INSERT INTO children VALUES (1); END;
"""


async def test_a_database_that_is_broken_leaves_the_volume_alone(volume: Volume, database: Database) -> None:
    ledger = Ledger(database, volume, keep=5)
    first, second = _workspace("return 1"), _workspace("return 2")
    await ledger.record(first, None, ORIGIN)
    with sqlite3.connect(database.path) as other:
        other.execute("ALTER TABLE revisions RENAME TO elsewhere")
    with pytest.raises(DatabaseUnavailable):
        await ledger.record(second, first, ORIGIN)
    assert (await volume.read("w")).workspace == first


async def test_what_cannot_be_committed_is_put_back(root: Path, volume: Volume, database: Database) -> None:
    ledger = Ledger(database, volume, keep=5)
    first, second = _workspace("return 1"), _workspace("return 2")
    await ledger.record(first, None, ORIGIN)
    with sqlite3.connect(database.path) as other:
        other.executescript(NEVER_COMMITS)
    with pytest.raises(sqlite3.IntegrityError):
        await ledger.record(second, first, ORIGIN)
    assert (await volume.read("w")).workspace.revision == first.revision
    with pytest.raises(sqlite3.IntegrityError):
        await ledger.delete("w", first, ORIGIN)
    assert (await volume.read("w")).workspace.revision == first.revision
    rows = await database.rows("SELECT number FROM revisions")
    assert [row["number"] for row in rows] == [1]
    (root / "w" / "workspace.yaml").write_text("functions: {half")
    with pytest.raises(sqlite3.IntegrityError):
        await ledger.record(second, None, ORIGIN)
    assert (await volume.read("w")).workspace == second  # not nothing, where somebody had edited something


async def test_what_a_crash_left_between_the_volume_and_the_database_is_found(
    volume: Volume, database: Database
) -> None:
    ledger = Ledger(database, volume, keep=5)
    first, second, third = (_workspace(f"return {number}") for number in range(3))
    await ledger.record(first, None, ORIGIN)
    await volume.write(second)
    assert (await ledger.record(third, second, ORIGIN)).number == 3
    rows = await database.rows("SELECT number, key, definition FROM revisions ORDER BY number")
    assert [(row["number"], row["key"]) for row in rows] == [(1, "key"), (2, None), (3, "key")]
    assert "return 1" in rows[1]["definition"]
