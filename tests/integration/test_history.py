"""The history over HTTP, in a service of its own, and what becomes of it while the database does not work."""

import asyncio
import resource
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.skep import Client, Skep, client_of, running_skep

FUNCTIONS = {
    "greet": 'print("greeting"); return {"greeting": "Hello"}',
    "fail": 'raise ValueError("no")',
    "wait": "import asyncio; await asyncio.sleep(30)",
    "much": 'return "x" * 20_000',
    "chatty": 'for _ in range(50): print("x" * 1000)',
}
LIMITS = {"HISTORY_RESULT_MAX_SIZE": "10kb", "HISTORY_LOGS_MAX_SIZE": "10kb"}


@pytest.fixture(scope="module")
def skep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Skep]:
    with running_skep(tmp_path_factory.mktemp("skep"), LIMITS) as service:
        yield service


@pytest.fixture
async def client(skep: Skep) -> AsyncIterator[Client]:
    async with client_of(skep) as one:
        yield one


async def history(client: Client, workspace: str, query: str = "") -> dict[str, Any]:
    answer = await client.call("GET", f"/v2/functions/{workspace}/runs{query}")
    assert answer.status == 200, answer.body
    body: dict[str, Any] = answer.body
    return body


async def record(client: Client, workspace: str, run_id: str) -> dict[str, Any]:
    answer = await client.call("GET", f"/v2/functions/{workspace}/runs/{run_id}")
    assert answer.status == 200, answer.body
    body: dict[str, Any] = answer.body
    return body


async def test_a_run_can_be_looked_up_as_soon_as_it_is_answered_and_is_the_same_when_it_is_written(
    client: Client,
) -> None:
    await client.deploy("lookups", FUNCTIONS)
    answer = await client.run("lookups", "greet")
    run_id = answer.headers["x-run-id"]
    found = await record(client, "lookups", run_id)
    assert found["result"] == {"greeting": "Hello"}
    assert [entry["message"] for entry in found["logs"]] == ["greeting"]
    assert (found["id"], found["function"], found["status"]) == (run_id, "greet", "succeeded")
    assert found["duration"] == answer.body["duration"]
    assert found["queued"] <= found["started"] <= found["finished"]
    assert "error" not in found
    assert "truncated" not in found
    (listed,) = (await history(client, "lookups"))["items"]  # a list waits for what is to be written
    assert await record(client, "lookups", run_id) == found
    assert listed == {name: value for name, value in found.items() if name not in {"result", "logs"}}


async def test_a_record_tells_the_revision_that_ran(client: Client) -> None:
    for number in (1, 2):
        await client.deploy("numbered", {"f": f"return {number}"})
        answer = await client.run("numbered", "f")
        assert (await record(client, "numbered", answer.headers["x-run-id"]))["revision"] == number
    older = await client.call("POST", "/v2/functions/numbered/run/f?revision=1", json={})
    assert (await record(client, "numbered", older.headers["x-run-id"]))["revision"] == 1
    accepted = await client.call("POST", "/v2/functions/numbered/run/f", json={}, headers={"Prefer": "respond-async"})
    while (found := await record(client, "numbered", accepted.body["id"]))["status"] != "succeeded":
        assert found["status"] in {"queued", "running"}
    assert found["revision"] == 2
    inline = await client.inline("numbered", "return 1")
    assert (await record(client, "numbered", inline.headers["x-run-id"]))["revision"] is None


async def test_an_error_is_kept_as_it_was_answered(client: Client) -> None:
    await client.deploy("errors", FUNCTIONS)
    answer = await client.run("errors", "fail")
    found = await record(client, "errors", answer.headers["x-run-id"])
    assert found["status"] == "failed"
    assert found["error"] == {name: answer.body[name] for name in ("error", "message", "details")}
    assert "result" not in found


async def test_runs_are_listed_newest_first_page_by_page_and_by_function_and_status(client: Client) -> None:
    await client.deploy("lists", FUNCTIONS)
    for _ in range(3):
        await client.run("lists", "greet")
        await client.run("lists", "fail")
    await client.inline("lists", "return 1")
    everything = (await history(client, "lists"))["items"]
    assert [run["function"] for run in everything] == [None, *["fail", "greet"] * 3]
    first = await history(client, "lists", "?limit=4")
    await client.run("lists", "greet")
    second = await history(client, "lists", f"?limit=4&cursor={first['cursor']}")
    assert first["items"] + second["items"] == everything
    assert "cursor" not in second
    for query, expected in {
        "?function=greet": ["succeeded"] * 4,
        "?status=failed": ["failed"] * 3,
        "?function=greet&status=failed": [],
    }.items():
        assert [run["status"] for run in (await history(client, "lists", query))["items"]] == expected


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("?status=queued", "query.status"),
        ("?status=", "query.status"),
        ("?function=1", "query.function"),
        ("?since=yesterday", "query.since"),
        ("?cursor=x", "query.cursor"),
        ("?status=failed&status=lost", "query.status"),
    ],
)
async def test_what_is_no_filter_is_refused(client: Client, query: str, path: str) -> None:
    answer = await client.call("GET", f"/v2/functions/lists/runs{query}")
    assert answer.status == 400
    assert [problem["path"] for problem in answer.body["details"]] == [path]


async def test_runs_that_time_out_are_cancelled_or_never_begin(client: Client) -> None:
    await client.deploy("ends", {**FUNCTIONS, "wait": {"code": FUNCTIONS["wait"], "timeout": 100}})
    await client.run("ends", "wait")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await client.inline("ends", FUNCTIONS["wait"])
    await client.run("ends", "greet", unknown=1)  # refused: it is no run
    statuses: list[str] = []
    while len(statuses) < 2:
        statuses = [run["status"] for run in (await history(client, "ends"))["items"]]
    assert sorted(statuses) == ["cancelled", "timed_out"]


async def test_what_is_too_large_is_left_out_and_said_so(client: Client) -> None:
    await client.deploy("large", FUNCTIONS)
    much = await record(client, "large", (await client.run("large", "much")).headers["x-run-id"])
    assert much["truncated"] is True
    assert "result" not in much
    chatty = await record(client, "large", (await client.run("large", "chatty")).headers["x-run-id"])
    assert chatty["truncated"] is True
    assert len(chatty["logs"]) == 9
    assert chatty["result"] is None


async def test_the_history_of_a_deleted_workspace_stays(client: Client) -> None:
    await client.deploy("deleted", FUNCTIONS)
    await client.run("deleted", "greet")
    await client.call("DELETE", "/v2/functions/deleted")
    assert len((await history(client, "deleted"))["items"]) == 1


async def test_what_is_not_there_is_a_404_and_a_workspace_without_runs_is_not(client: Client) -> None:
    await client.deploy("fresh", FUNCTIONS)
    await client.deploy("other", FUNCTIONS)
    run_id = (await client.run("other", "greet")).headers["x-run-id"]
    assert await history(client, "fresh") == {"items": []}
    for path in ("nowhere/runs", f"fresh/runs/{run_id}", "other/runs/abc", f"other/runs/{run_id.upper()}"):
        answer = await client.call("GET", f"/v2/functions/{path}")
        assert (answer.status, answer.body["error"]) == (404, "ObjectNotFoundError"), path


async def test_runs_go_on_while_the_database_is_locked_and_their_history_is_written_afterwards(
    skep: Skep, client: Client
) -> None:
    await client.deploy("locked", FUNCTIONS)
    await history(client, "locked")
    other = sqlite3.connect(skep.folder / "skep.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        run_id = (await client.run("locked", "greet")).headers["x-run-id"]
        trouble = "ok"
        while trouble == "ok":
            trouble = (await client.call("GET", "/sys/ready")).body["database"]
        assert "locked" in trouble
        assert (await client.run("locked", "greet")).status == 200
        assert (await record(client, "locked", run_id))["status"] == "succeeded"
        assert "skep_database_up 0.0" in (await client.call("GET", "/metrics")).body.decode()
    finally:
        other.close()
    while (await client.call("GET", "/sys/ready")).body["database"] != "ok":
        pass
    assert len((await history(client, "locked"))["items"]) == 2
    assert [line["event"] for line in skep.log_lines()].count("history not written") == 1


async def test_a_full_disk_stops_no_run_and_what_waited_is_written_when_there_is_room(
    skep: Skep, client: Client
) -> None:
    await client.deploy("full", FUNCTIONS)
    await history(client, "full")
    least = min((skep.folder / name).stat().st_size for name in ("skep.db", "skep.db-wal"))
    _, most = resource.prlimit(skep.pid, resource.RLIMIT_FSIZE)
    # The log is smaller, and goes on.
    resource.prlimit(skep.pid, resource.RLIMIT_FSIZE, (least // 2, most))
    try:
        while (ready := await client.call("GET", "/sys/ready")).body["database"] == "ok":
            assert (await client.run("full", "greet")).status == 200
        assert ready.status == 200
    finally:
        resource.prlimit(skep.pid, resource.RLIMIT_FSIZE, (most, most))
    while (await client.call("GET", "/sys/ready")).body["database"] != "ok":
        pass
    assert (await history(client, "full"))["items"]


async def test_a_database_that_is_taken_away_stops_no_run_and_is_used_again_when_it_is_back(
    skep: Skep, client: Client
) -> None:
    await client.deploy("moved", FUNCTIONS)
    await client.run("moved", "greet")
    await history(client, "moved")
    path, aside = skep.folder / "skep.db", skep.folder / "aside.db"
    backup = sqlite3.connect(path)
    with sqlite3.connect(aside) as copy:
        backup.backup(copy)
    copy.close()
    backup.close()
    for content in (None, b"this is no database" * 1000):
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
        assert (await client.run("moved", "greet")).status == 200
        while (ready := await client.call("GET", "/sys/ready")).body["database"] == "ok":
            assert (await client.run("moved", "greet")).status == 200
        assert ready.status == 200
    put_back(aside, path)
    while (await client.call("GET", "/sys/ready")).body["database"] != "ok":
        pass
    assert len((await history(client, "moved"))["items"]) >= 4


def put_back(aside: Path, path: Path) -> None:
    for left in (path.with_name("skep.db-wal"), path.with_name("skep.db-shm")):
        left.unlink(missing_ok=True)
    aside.replace(path)
