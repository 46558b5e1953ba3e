"""Runs that are accepted now and run later, and runs that are called off."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.origin import Origin
from tests.skep import Answer, Client, Skep, client_of

ASYNC = {"Prefer": "respond-async"}


@pytest.fixture
async def client(jobs_skep: Skep) -> AsyncIterator[Client]:
    async with client_of(jobs_skep) as client:
        yield client


async def accept(client: Client, workspace: str, function: str, /, **parameters: Any) -> Answer:
    path = f"/v2/functions/{workspace}/run/{function}"
    return await client.call("POST", path, json={"parameters": parameters}, headers=ASYNC)


async def run_of(client: Client, workspace: str, run_id: str) -> dict[str, Any]:
    answer = await client.call("GET", f"/v2/functions/{workspace}/runs/{run_id}")
    assert answer.status == 200, answer.body
    body: dict[str, Any] = answer.body
    return body


async def finished(client: Client, workspace: str, run_id: str) -> dict[str, Any]:
    """The run when it is over. Its stream of logs tells when that is."""
    async with client.session.get(f"/v2/functions/{workspace}/runs/{run_id}/logs?follow=1") as response:
        assert response.status == 200, await response.text()
        assert b"event: end" in await response.read()
    return await until(client, workspace, run_id, lambda run: run["finished"] is not None)


async def until(client: Client, workspace: str, run_id: str, is_so: Any) -> dict[str, Any]:
    """A run is asked for until it is as it should be: the API has no other way to tell."""
    async with asyncio.timeout(20):
        while not is_so(run := await run_of(client, workspace, run_id)):  # noqa: ASYNC110  # see above
            await asyncio.sleep(0.02)
    return run


HANG = "await fetch(url)"
WITH_URL = {"url": {"type": "string", "required": True}}
BOTH: dict[str, Any] = {"hang": {"code": HANG, "parameters": WITH_URL}, "one": "return 1"}


async def test_an_accepted_run_answers_at_once_and_is_found_with_its_result(client: Client, workspace: str) -> None:
    await client.deploy(workspace, {"add": {"code": "print('adding'); return a + b", "parameters": {"a": {}, "b": {}}}})
    answer = await accept(client, workspace, "add", a=2, b=3)
    assert answer.status == 202
    assert answer.body == {"id": answer.headers["x-run-id"], "status": "queued"}
    assert answer.headers["Location"] == f"/v2/functions/{workspace}/runs/{answer.body['id']}"
    assert answer.headers["Preference-Applied"] == "respond-async"
    run = await finished(client, workspace, answer.body["id"])
    assert (run["status"], run["result"], run["logs"][0]["message"]) == ("succeeded", 5, "adding")
    assert run["queued"] <= run["started"] <= run["finished"]
    listed = await client.call("GET", f"/v2/functions/{workspace}/runs")
    assert [item["id"] for item in listed.body["items"]] == [run["id"]]


@pytest.mark.parametrize(
    ("prefer", "status"),
    [
        ("respond-async", 202),
        ("Respond-Async, wait=10", 202),
        ('foo="bar", respond-async; x=1', 202),
        ('foo="a, \\", b", respond-async', 202),
        ('foo="a, respond-async, b"', 200),
        ('foo="\\", respond-async, b"', 200),
        ('foo="a, respond-async', 200),
        ("wait=10", 200),
        ("return=minimal", 200),
    ],
)
async def test_what_a_caller_prefers(client: Client, workspace: str, prefer: str, status: int) -> None:
    path = f"/v2/functions/{workspace}/run"
    answer = await client.call("POST", path, json={"code": "return 1"}, headers={"Prefer": prefer})
    assert answer.status == status


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("raise ValueError('no')", "failed", "FunctionError"),
        ("return [0] * 10**10", "failed", "MemoryExceeded"),
        ("while True: pass", "timed_out", "FunctionTimeout"),
        ("import os", "failed", "CompilationError"),
    ],
)
async def test_how_an_accepted_run_ends(client: Client, workspace: str, code: str, status: str, error: str) -> None:
    await client.deploy(workspace, {"bad": {"code": code, "timeout": 100}}) if "import" not in code else None
    path = f"/v2/functions/{workspace}/run" + ("" if "import" in code else "/bad")
    body = {"code": code} if "import" in code else {}
    answer = await client.call("POST", path, json=body, headers=ASYNC)
    run = await finished(client, workspace, answer.body["id"])
    assert (run["status"], run["error"]["error"]) == (status, error)


async def test_a_run_of_a_workspace_that_is_deleted_meanwhile_fails(
    client: Client, workspace: str, origin: Origin
) -> None:
    await client.deploy(workspace, {"hang": {"code": HANG, "parameters": WITH_URL}, "one": "return 1"})
    hanging = [await accept(client, workspace, "hang", url=f"{origin.url}/hang") for _ in range(2)]
    for _ in hanging:
        await origin.hanging.acquire()
    waiting = await accept(client, workspace, "one")
    assert (await run_of(client, workspace, waiting.body["id"]))["status"] == "queued"
    await client.call("DELETE", f"/v2/functions/{workspace}")
    for answer in hanging:
        assert (await client.call("DELETE", answer.headers["Location"])).status == 204
    run = await finished(client, workspace, waiting.body["id"])
    assert (run["status"], run["error"]["error"]) == ("failed", "ObjectNotFoundError")


async def test_accepted_runs_leave_their_workers_to_others(client: Client, workspace: str, origin: Origin) -> None:
    await client.deploy(workspace, BOTH, pool={"concurrency": 3})
    accepted = [await accept(client, workspace, "hang", url=f"{origin.url}/hang") for _ in range(6)]
    for _ in range(2):
        await origin.hanging.acquire()
    assert (await client.run(workspace, "one")).result == 1
    states = [(await run_of(client, workspace, answer.body["id"]))["status"] for answer in accepted]
    assert sorted(states) == ["queued"] * 4 + ["running"] * 2
    for answer in accepted:
        await client.call("DELETE", answer.headers["Location"])


async def test_a_workspace_has_its_share_of_what_may_wait(client: Client, workspace: str, origin: Origin) -> None:
    await client.deploy(workspace, {"hang": {"code": HANG, "parameters": WITH_URL}})
    answers = await asyncio.gather(*(accept(client, workspace, "hang", url=f"{origin.url}/hang") for _ in range(30)))
    assert {answer.status for answer in answers} == {202, 429}
    refused = next(answer for answer in answers if answer.status == 429)
    assert refused.body["error"] == "TooManyRequests"
    assert refused.headers["Retry-After"]
    other = f"{workspace}"[:60] + "-o"
    answer = await client.call("POST", f"/v2/functions/{other}/run", json={"code": "return 2"}, headers=ASYNC)
    assert answer.status == 202
    assert (await finished(client, other, answer.body["id"]))["result"] == 2
    for answer in answers:
        if answer.status == 202:
            assert (await client.call("DELETE", answer.headers["Location"])).status == 204


async def test_one_for_which_there_is_no_room_is_tried_again(client: Client, workspace: str, origin: Origin) -> None:
    await client.deploy(workspace, BOTH, pool={"concurrency": 1, "queue": 0})
    blocking = asyncio.create_task(client.run(workspace, "hang", url=f"{origin.url}/hang"))
    await origin.hanging.acquire()
    answer = await accept(client, workspace, "one")
    assert (await client.run(workspace, "one")).status == 429
    run = await run_of(client, workspace, answer.body["id"])
    assert run["status"] == "queued"
    blocking.cancel()
    assert (await finished(client, workspace, answer.body["id"]))["result"] == 1


async def test_who_waits_for_a_run_that_is_cancelled_is_told(client: Client, workspace: str, origin: Origin) -> None:
    await client.deploy(workspace, {"hang": {"code": f"print('here'); {HANG}", "parameters": WITH_URL}})
    caller = asyncio.create_task(client.run(workspace, "hang", url=f"{origin.url}/hang"))
    await origin.hanging.acquire()
    answer = await accept(client, workspace, "hang", url=f"{origin.url}/hang")
    await origin.hanging.acquire()
    assert (await client.call("DELETE", answer.headers["Location"])).status == 204
    run = await finished(client, workspace, answer.body["id"])
    assert (run["status"], [entry["message"] for entry in run["logs"]]) == ("cancelled", ["here"])
    again = await client.call("DELETE", answer.headers["Location"])
    assert (again.status, again.body["error"], again.body["details"]) == (
        409, "ConflictError", {"status": "cancelled"},
    )  # fmt: skip
    caller.cancel()
    await origin.gone.acquire()


async def test_a_run_that_its_caller_waits_for_is_cancelled_by_somebody_else(
    client: Client, workspace: str, origin: Origin
) -> None:
    code = "await fetch(url + '?' + context.run_id); print('no')"
    await client.deploy(workspace, {"hang": {"code": code, "parameters": WITH_URL}})
    caller = asyncio.create_task(client.run(workspace, "hang", url=f"{origin.url}/hang"))
    await origin.hanging.acquire()
    run_id = origin.requests[-1].partition("?")[2]
    run = await run_of(client, workspace, run_id)
    assert (run["status"], run["function"], run["finished"]) == ("running", "hang", None)
    assert (await client.call("DELETE", f"/v2/functions/{workspace}/runs/{run_id}")).status == 204
    answer = await caller
    assert (answer.status, answer.body["error"], answer.body["details"]) == (
        409, "ConflictError", {"status": "cancelled"},
    )  # fmt: skip
    await origin.gone.acquire()
    record = await until(client, workspace, run_id, lambda run: run["finished"])
    assert record["status"] == "cancelled"


async def test_an_unknown_run_is_not_found(client: Client, workspace: str) -> None:
    for method in ("GET", "DELETE"):
        for path in ("abc", "0" * 32):
            answer = await client.call(method, f"/v2/functions/{workspace}/runs/{path}")
            assert (answer.status, answer.body["error"]) == (404, "ObjectNotFoundError")


async def test_a_run_is_not_found_in_another_workspace(client: Client, workspace: str, origin: Origin) -> None:
    await client.deploy(workspace, {"hang": {"code": HANG, "parameters": WITH_URL}})
    answer = await accept(client, workspace, "hang", url=f"{origin.url}/hang")
    await origin.hanging.acquire()
    path = f"/v2/functions/another/runs/{answer.body['id']}"
    assert (await client.call("GET", path)).status == 404
    assert (await client.call("GET", f"{path}/logs?follow=1")).status == 404
    assert (await client.call("DELETE", path)).status == 404
    assert (await client.call("DELETE", answer.headers["Location"])).status == 204


async def test_an_accepted_run_is_of_the_revision_it_was_asked_for(client: Client, workspace: str) -> None:
    for number in (1, 2):
        await client.deploy(workspace, {"number": f"return {number}"})
    path = f"/v2/functions/{workspace}/run/number"
    for query, result in (("?revision=1", 1), ("", 2)):
        answer = await client.call("POST", path + query, headers=ASYNC)
        assert (await finished(client, workspace, answer.body["id"]))["result"] == result
    answer = await client.call("POST", f"{path}?revision=7", headers=ASYNC)
    run = await finished(client, workspace, answer.body["id"])
    assert (run["status"], run["error"]["error"]) == ("failed", "ObjectNotFoundError")


async def test_an_accepted_run_is_counted_when_it_is_accepted(client: Client, workspace: str) -> None:
    await client.deploy(workspace, {"one": "return 1"})
    quotas = {"runs_per_minute": 2}
    assert (await client.call("PUT", f"/v2/functions/{workspace}/quotas", json=quotas)).status < 300
    answers = [await accept(client, workspace, "one") for _ in range(3)]
    assert [answer.status for answer in answers] == [202, 202, 429]
    for answer in answers[:2]:
        assert (await finished(client, workspace, answer.body["id"]))["result"] == 1
