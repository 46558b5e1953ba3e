"""Callbacks of accepted runs: signed, sent again until they are taken, and only where the service may go."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from service.database.database import Database
from service.database.group_commit import GroupCommit
from service.database.owners import Owner
from service.domain.jobs import Job
from service.usecases.job_endings import Ending
from service.usecases.webhooks import Webhooks
from tests.integration.receiver import Receiver, delivered
from tests.skep import Client, Skep, client_of

ASYNC = {"Prefer": "respond-async"}


@pytest.fixture
async def client(jobs_skep: Skep) -> AsyncIterator[Client]:
    async with client_of(jobs_skep) as client:
        yield client


async def accept(client: Client, workspace: str, code: str, callback: object) -> Any:
    body = {"code": code, "callback": callback}
    return await client.call("POST", f"/v2/functions/{workspace}/run", json=body, headers=ASYNC)


async def test_the_end_of_a_run_is_told_and_signed(client: Client, workspace: str, receiver: Receiver) -> None:
    run_id = (await accept(client, workspace, "print('hi'); return 42", receiver.url)).body["id"]
    headers, told, body = await receiver.next()
    assert (told["id"], told["workspace"], told["status"], told["result"]) == (run_id, workspace, "succeeded", 42)
    assert [entry["message"] for entry in told["logs"]] == ["hi"]
    secret = (await client.call("GET", f"/v2/functions/{workspace}/webhook-secret")).body["secret"]
    stamp, digest = (part.partition("=")[2] for part in headers["skep-signature"].split(","))
    assert abs(time.time() - int(stamp)) < 60
    assert digest == hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    other = (await client.call("GET", "/v2/functions/another/webhook-secret")).body["secret"]
    assert other != secret
    assert await delivered(client, workspace, run_id, "delivered") == 1


async def test_one_that_is_not_taken_is_sent_again_and_redirects_are_not_followed(
    client: Client, workspace: str, receiver: Receiver
) -> None:
    receiver.answers = [web.Response(status=307, headers={"Location": "/elsewhere"})]
    run_id = (await accept(client, workspace, "raise ValueError('no')", receiver.url)).body["id"]
    first, again = await receiver.next(), await receiver.next()
    assert first[1] == again[1]
    assert (again[1]["status"], again[1]["error"]["error"]) == ("failed", "FunctionError")
    assert await delivered(client, workspace, run_id, "delivered") == 2
    assert receiver.came.empty()


@pytest.mark.parametrize("url", ["ftp://example.com", "example.com", "http://user:password@example.com/", "", 7])
async def test_what_is_no_url_is_refused_at_once(client: Client, workspace: str, url: object) -> None:
    answer = await accept(client, workspace, "return 1", url)
    assert (answer.status, answer.body["details"][0]["path"]) == (400, "callback")


async def test_a_callback_is_for_runs_that_nobody_waits_for(client: Client, workspace: str, receiver: Receiver) -> None:
    body = {"code": "return 1", "callback": receiver.url}
    answer = await client.call("POST", f"/v2/functions/{workspace}/run", json=body)
    assert (answer.status, answer.body["details"][0]["path"]) == (400, "callback")


async def test_a_callback_goes_nowhere_that_functions_may_not_go(
    client: Client, workspace: str, receiver: Receiver
) -> None:
    await client.deploy(workspace, {"one": "return 1"}, network={"allow": ["api.example.com"]})
    run_id = (await accept(client, workspace, "return 1", receiver.url)).body["id"]
    async with asyncio.timeout(20):
        while True:
            run = (await client.call("GET", f"/v2/functions/{workspace}/runs/{run_id}")).body
            if run["callback"]["attempts"]:
                break
            await asyncio.sleep(0.02)
    assert receiver.came.empty()


async def test_what_is_still_to_be_told_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.usecases.webhooks.PENDING_MAX_BYTES", 3000)
    database = Database(tmp_path / "skep.db")
    await database.open()
    never: Any = None
    owner = Owner(database.path)
    webhooks = Webhooks(database, GroupCommit(database), owner, never, never, secret=b"")

    def ended(workspace: str, number: int) -> Ending:
        job = Job(f"{workspace}{number}", workspace, "f", None, b"{}", None, "", "http://127.0.0.1/", accepted_ms=1)
        return Ending(job, "succeeded", 2, 1.0, b'"%b"' % (b"x" * 1000), None, ())

    try:
        for endings in ([ended("a", 0), ended("a", 1), ended("a", 2)], [ended("a", 3), ended("b", 0)]):
            async with database.writing() as write:
                await webhooks.keep(write, endings)
        bodies = {row["id"]: json.loads(row["body"]) for row in await database.rows("SELECT id, body FROM deliveries")}
        assert {name: "result" in body for name, body in bodies.items()} == {
            "a0": True, "a1": True, "a2": False, "a3": False, "b0": True,
        }  # fmt: skip
        assert {name for name, body in bodies.items() if body["truncated"]} == {"a2", "a3"}
        async with database.writing() as write:
            await write.execute("UPDATE deliveries SET status = 'delivered', body = NULL WHERE workspace = 'a'")
        assert [row["workspace"] for row in await database.rows("SELECT workspace FROM delivery_sizes")] == ["b"]
    finally:
        await database.close()
