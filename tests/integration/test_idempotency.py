"""Runs that happen once, however often they are asked for with the same key."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from service.database.database import Database
from service.database.group_commit import GroupCommit
from service.database.owners import Owner
from service.domain.idempotency import Answer as Given
from service.domain.idempotency import Claim, Place
from service.errors import TooMany
from service.usecases.claim_store import ClaimStore
from service.usecases.idempotency import Idempotency
from tests.origin import Origin
from tests.skep import Answer, Client, Skep, client_of

COUNTING = {"code": "cache['n'] = cache.get('n', 0) + 1; return cache['n']"}
HANG = {"code": "await fetch(url)", "parameters": {"url": {"type": "string", "required": True}}}


@pytest.fixture
async def client(jobs_skep: Skep) -> AsyncIterator[Client]:
    async with client_of(jobs_skep) as client:
        yield client


async def ask(
    client: Client,
    workspace: str,
    function: str,
    key: str,
    *,
    later: bool = False,
    parameters: dict[str, Any] | None = None,
) -> Answer:
    body = {} if parameters is None else {"parameters": parameters}
    headers = {"Idempotency-Key": key} | ({"Prefer": "respond-async"} if later else {})
    return await client.call("POST", f"/v2/functions/{workspace}/run/{function}", json=body, headers=headers)


async def test_fifty_callers_at_once_have_one_run_and_one_answer(client: Client, workspace: str) -> None:
    await client.deploy(workspace, {"count": COUNTING})
    answers = await asyncio.gather(*(ask(client, workspace, "count", "one-key") for _ in range(50)))
    assert {(answer.status, answer.result, answer.headers["x-run-id"]) for answer in answers} == {
        (200, 1, answers[0].headers["x-run-id"])
    }
    assert sorted("Idempotency-Replayed" in answer.headers for answer in answers) == [False] + [True] * 49
    again = await ask(client, workspace, "count", '"one-key"')
    assert (again.body, again.headers["Idempotency-Replayed"]) == (answers[0].body, "true")
    assert again.headers["x-run-id"] == answers[0].headers["x-run-id"]
    assert (await ask(client, workspace, "count", "another-key")).result == 2


async def test_a_key_is_for_one_request(client: Client, workspace: str) -> None:
    await client.deploy(workspace, {"count": COUNTING, "other": COUNTING})
    assert (await ask(client, workspace, "count", "key", parameters={})).result == 1
    for answer in (
        await ask(client, workspace, "count", "key"),
        await ask(client, workspace, "other", "key", parameters={}),
        await ask(client, workspace, "count", "key", later=True, parameters={}),
    ):
        assert (answer.status, answer.body["error"]) == (409, "ConflictError")
    elsewhere = f"{workspace}"[:60] + "-o"
    await client.deploy(elsewhere, {"count": COUNTING})
    assert (await ask(client, elsewhere, "count", "key", parameters={})).result == 1


async def test_a_key_in_use_is_not_for_another_request_meanwhile(
    client: Client, workspace: str, origin: Origin
) -> None:
    await client.deploy(workspace, {"hang": HANG, "count": COUNTING})
    url = {"url": f"{origin.url}/together"}
    first = asyncio.create_task(ask(client, workspace, "hang", "key", parameters=url))
    await origin.hanging.acquire()
    assert (await ask(client, workspace, "count", "key")).status == 409
    origin.release.set()
    assert (await first).status == 200


@pytest.mark.parametrize(
    ("key", "status"),
    [
        ("x", 200),
        ("x" * 255, 200),
        ("!~", 200),
        ('"a"', 200),
        ("x" * 256, 400),
        ("a b", 400),
        ('"', 200),
        ("ü", 400),
        ("", 400),
        ('""', 400),
    ],
)
async def test_what_a_key_may_be(client: Client, workspace: str, key: str, status: int) -> None:
    await client.deploy(workspace, {"count": COUNTING})
    assert (await ask(client, workspace, "count", key)).status == status


@pytest.mark.parametrize(
    ("code", "status"),
    [("raise ValueError(cache.setdefault('n', 1))", 500), ("while True: pass", 504), ("return [0] * 10**10", 500)],
)
async def test_what_a_run_ended_with_is_its_answer(client: Client, workspace: str, code: str, status: int) -> None:
    await client.deploy(workspace, {"bad": {"code": code, "timeout": 100}})
    first = await ask(client, workspace, "bad", "key")
    again = await ask(client, workspace, "bad", "key")
    assert (first.status, again.status) == (status, status)
    assert first.body == again.body
    assert again.headers["Idempotency-Replayed"] == "true"


async def test_what_did_not_run_is_not_kept(client: Client, workspace: str) -> None:
    assert (await ask(client, workspace, "count", "key")).status == 404
    await client.deploy(workspace, {"count": {**COUNTING, "parameters": {"n": {"type": "integer"}}}})
    assert (await ask(client, workspace, "count", "key", parameters={"n": "no"})).status == 400
    assert (await ask(client, workspace, "count", "key", parameters={"n": 1})).result == 1


async def test_a_run_with_a_key_goes_on_when_its_caller_leaves(client: Client, workspace: str, origin: Origin) -> None:
    await client.deploy(workspace, {"hang": HANG})
    url = {"url": f"{origin.url}/together"}
    first = asyncio.create_task(ask(client, workspace, "hang", "key", parameters=url))
    await origin.hanging.acquire()
    first.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await first
    origin.release.set()
    again = await ask(client, workspace, "hang", "key", parameters=url)
    assert (again.status, again.headers["Idempotency-Replayed"]) == (200, "true")
    assert len(origin.requests) == 1


async def test_an_accepted_run_is_accepted_once(client: Client, workspace: str) -> None:
    await client.deploy(workspace, {"count": COUNTING})
    answers = await asyncio.gather(*(ask(client, workspace, "count", "key", later=True) for _ in range(10)))
    assert {(answer.status, answer.body["id"], answer.headers["Location"]) for answer in answers} == {
        (202, answers[0].body["id"], answers[0].headers["Location"])
    }


async def test_an_answer_that_is_too_large_is_told_of(client: Client, workspace: str) -> None:
    await client.deploy(workspace, {"large": "return 'x' * 2_000_000"})
    first, together = await asyncio.gather(*(ask(client, workspace, "large", "key") for _ in range(2)))
    assert len(first.result) == len(together.result) == 2_000_000
    again = await ask(client, workspace, "large", "key")
    assert (again.status, again.body["error"]) == (409, "ConflictError")
    assert again.body["details"] == {"run_id": first.headers["x-run-id"]}


async def test_so_much_of_a_workspace_is_kept_and_the_oldest_answers_go_first(tmp_path: Path) -> None:
    database = Database(tmp_path / "skep.db")
    await database.open()
    owner = Owner(database.path)
    owner.open()
    store = ClaimStore(database, GroupCommit(database), owner, most=4, max_bytes=2500)
    once = Idempotency(store, owner, lost=_never, was_finished=_never)
    ran: list[str] = []

    async def answer(workspace: str, key: str, *, is_job: bool = False) -> tuple[int, bytes]:
        run_id = f"{workspace}-{key}-{len(ran)}"
        accepted = Given(202, {"x-run-id": run_id}, run_id.encode()) if is_job else None

        async def run() -> Given:
            ran.append(run_id)
            return accepted or Given(200, {"x-run-id": run_id}, b"x" * 1000)

        given, _ = await once.once(Claim(Place(workspace, "caller", key), b"1", run_id, is_job), run, accepted)
        return given.status, given.body

    try:
        assert await answer("demo", "job", is_job=True) == (202, b"demo-job-0")
        for key in ("a", "b", "c"):
            assert await answer("demo", key) == (200, b"x" * 1000)
        assert await answer("other", "a") == (200, b"x" * 1000)
        status, body = await answer("demo", "a")
        assert (status, json.loads(body)["details"]) == (409, {"run_id": "demo-a-1"})
        assert await answer("demo", "job", is_job=True) == (202, b"demo-job-0")
        assert [(await answer(*of))[0] for of in (("demo", "b"), ("demo", "c"), ("other", "a"))] == [200] * 3
        with pytest.raises(TooMany):
            await answer("demo", "d")
        assert len(ran) == 5
        sizes = "SELECT workspace, rows, bytes BETWEEN 1000 AND 2500 AS fits FROM idempotency_sizes ORDER BY workspace"
        assert [tuple(row) for row in await database.rows(sizes)] == [("demo", 4, 1), ("other", 1, 1)]
        async with database.writing() as write:
            await write.execute("UPDATE idempotency SET claimed_ms = 0")
        await store.purge()
        assert await database.rows(sizes) == []
        assert await answer("demo", "d") == (200, b"x" * 1000)
    finally:
        owner.close()
        await database.close()


def _never(*_given: object) -> NoReturn:
    raise AssertionError
