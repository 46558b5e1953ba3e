"""A service that is killed while it has accepted runs: each is finished or lost after a restart, and none ran twice."""

import asyncio
import contextlib
import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.integration.receiver import Receiver, delivered
from tests.origin import Origin
from tests.skep import Answer, Client, Skep, client_of, running_skep

SETTINGS = {
    "EGRESS_ALLOW": "127.0.0.1:*",
    "JOBS_CONCURRENCY": 4,
    "SHUTDOWN_GRACE_PERIOD": 300,
    "WEBHOOK_SECRET": "a secret of sixteen characters",
}
ASYNC = {"Prefer": "respond-async"}
WITH_URL = {"url": {"type": "string", "required": True}}
COUNTED = {"code": "await fetch(url + '/echo?' + context.run_id); return 1", "parameters": WITH_URL}
HANG = {"code": "await fetch(url + '/hang?' + context.run_id)", "parameters": WITH_URL}
TOGETHER = {"code": "await fetch(url + '/together'); return 1", "parameters": WITH_URL}
FUNCTIONS = {"hang": HANG, "count": COUNTED, "together": TOGETHER}


@dataclass
class Place:
    """One volume and one database, and the services there, which may have ended."""

    folder: Path
    stack: ExitStack
    services: dict[str, Skep] = field(default_factory=dict)

    def service(self, name: str) -> Skep:
        """The one that runs, or a new one."""
        if name not in self.services or self.services[name].process.poll() is not None:
            (self.folder / name).mkdir(exist_ok=True)
            shared = {"DATABASE_PATH": self.database, "FUNCTIONS_STORAGE_FILESYSTEM_DIRPATH": self.folder / "functions"}
            self.services[name] = self.stack.enter_context(running_skep(self.folder / name, {**SETTINGS, **shared}))
        return self.services[name]

    @property
    def database(self) -> Path:
        return self.folder / "skep.db"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with ExitStack() as stack:
        yield Place(tmp_path_factory.mktemp("place"), stack)


async def ask(client: Client, workspace: str, function: str, origin: Origin, headers: dict[str, str]) -> Answer:
    body = {"parameters": {"url": origin.url}}
    return await client.call("POST", f"/v2/functions/{workspace}/run/{function}", json=body, headers=headers)


async def accept(client: Client, workspace: str, function: str, origin: Origin) -> str:
    answer = await ask(client, workspace, function, origin, ASYNC)
    assert answer.status == 202, answer.body
    run_id: str = answer.body["id"]
    return run_id


async def ended(client: Client, workspace: str, run_id: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            answer = await client.call("GET", f"/v2/functions/{workspace}/runs/{run_id}")
            assert answer.status == 200, (run_id, answer.body)
            if answer.body["finished"]:
                body: dict[str, Any] = answer.body
                return body
            await asyncio.sleep(0.02)


async def ends(client: Client, workspace: str, run_ids: list[str]) -> set[str]:
    return {(await ended(client, workspace, run_id))["status"] for run_id in run_ids}


def runs(origin: Origin) -> Counter[str]:
    """How often each run was outside."""
    return Counter(request.partition("?")[2] for request in origin.requests)


async def test_a_service_that_lives_takes_over_from_one_that_died_and_not_before(
    place: Place, origin: Origin, workspace: str
) -> None:
    one, two = place.service("one"), place.service("two")
    async with client_of(one) as here, client_of(two) as there:
        await there.deploy(workspace, FUNCTIONS)
        hanging = [await accept(there, workspace, "hang", origin) for _ in range(5)]
        for _ in range(4):
            await origin.hanging.acquire()
        waiting = [await accept(there, workspace, "count", origin) for _ in range(4)]
        for run_id in (waiting[0], hanging[0]):
            cancelled = await here.call("DELETE", f"/v2/functions/{workspace}/runs/{run_id}")
            assert cancelled.status == 202
            assert (await ended(here, workspace, run_id))["status"] == "cancelled"
        # Its place is free for the next.
        await origin.hanging.acquire()
        caller = asyncio.create_task(there.run(workspace, "hang", url=origin.url))
        await origin.hanging.acquire()
        path = f"/v2/functions/{workspace}/runs/{origin.requests[-1].partition('?')[2]}"
        # Only the other service knows of it.
        assert (await here.call("DELETE", path)).status == 204
        assert (await caller).body["details"] == {"status": "cancelled"}
        assert (await here.call("DELETE", path)).status == 409
        lost = asyncio.create_task(ask(there, workspace, "hang", origin, {"Idempotency-Key": "lost"}))
        await origin.hanging.acquire()
        two.process.send_signal(signal.SIGSTOP)
        states = [(await here.call("GET", f"/v2/functions/{workspace}/runs/{of}")).body for of in hanging[1:]]
        assert {state["status"] for state in states} == {"running"}
        two.process.kill()
        two.process.wait()
        with contextlib.suppress(aiohttp.ClientError):
            await lost
        # Nobody knows how far it came, and it is not run again.
        for _ in range(2):
            answer = await ask(here, workspace, "hang", origin, {"Idempotency-Key": "lost"})
            assert (answer.status, answer.body["error"]) == (502, "WorkerLost")
            assert answer.headers["Idempotency-Replayed"] == "true"
        assert await ends(here, workspace, hanging[1:]) == {"lost"}
        assert await ends(here, workspace, waiting[1:]) == {"succeeded"}
    assert set(runs(origin).values()) == {1}


async def test_a_key_is_for_one_run_at_two_services_and_after_a_restart_which_what_waits_survives(
    place: Place, origin: Origin, workspace: str
) -> None:
    skep, other, key = place.service("one"), place.service("two"), {"Idempotency-Key": "key"}
    async with client_of(skep) as client, client_of(other) as there:
        await client.deploy(workspace, FUNCTIONS)
        asked = [asyncio.create_task(ask(at, workspace, "together", origin, key)) for at in (client, there)]
        await origin.hanging.acquire()
        origin.release.set()
        first, second = await asyncio.gather(*asked)
        assert (first.status, first.body) == (200, second.body)
        assert origin.requests == ["GET /together"]
        hanging = [await accept(client, workspace, "hang", origin) for _ in range(4)]
        for _ in hanging:
            await origin.hanging.acquire()
        # It is for this service, and the other would run it.
        other.process.terminate()
        other.process.wait()
        waiting = [await accept(client, workspace, "count", origin) for _ in range(4)]
        path = f"/v2/functions/{workspace}/runs/{waiting[0]}/logs?follow=1"
        async with client.session.get(path) as following:
            skep.process.terminate()
            # No end of the run is told: it is still to come.
            assert b"event:" not in await following.read()
        assert skep.process.wait(timeout=20) == 0
    assert len(origin.requests) == 5
    async with client_of(place.service("one")) as client:
        assert await ends(client, workspace, waiting) == {"succeeded"}
        assert await ends(client, workspace, hanging) == {"lost"}
        again = await ask(client, workspace, "together", origin, key)
        assert (again.status, again.body) == (200, first.body)
    assert set(runs(origin).values()) == {1}
    with closing(sqlite3.connect(place.database)) as database:
        query = "SELECT count(*) FROM idempotency WHERE workspace = ?"
        assert database.execute(query, (workspace,)).fetchone() == (1,)


async def test_after_a_kill_every_accepted_run_is_finished_or_lost_and_none_ran_twice(
    place: Place, origin: Origin, receiver: Receiver, workspace: str
) -> None:
    accepted: list[str] = []
    receiver.answers = [web.Response(status=500) for _ in range(3)]
    skep = place.service("one")

    async def keep_asking(client: Client) -> None:
        while True:
            accepted.append(await accept(client, workspace, "count", origin))

    async with client_of(skep) as client:
        await client.deploy(workspace, FUNCTIONS)
        body = {"code": "return 42", "callback": receiver.url}
        told = (await client.call("POST", f"/v2/functions/{workspace}/run", json=body, headers=ASYNC)).body["id"]
        await receiver.next()
        asking = [asyncio.create_task(keep_asking(client)) for _ in range(16)]
        while len(origin.requests) < 40:  # noqa: ASYNC110  # the origin has no event for it
            await asyncio.sleep(0.005)
        skep.process.send_signal(signal.SIGKILL)
        skep.process.wait()
        for task in asking:
            with contextlib.suppress(aiohttp.ClientError):
                await task
    before = runs(origin)
    receiver.answers.clear()
    async with client_of(place.service("one")) as client:
        records = [await ended(client, workspace, run_id) for run_id in accepted]
        _, record, _ = await receiver.next()
        assert (record["id"], record["result"]) == (told, 42)
        assert await delivered(client, workspace, told, "delivered") > 1
    outside = runs(origin)
    assert set(outside.values()) == {1}
    assert set(Counter(record["status"] for record in records)) <= {"succeeded", "lost"}
    assert len(before) < len(outside), "there was nothing left to do after the restart"
    for record in records:
        assert record["status"] == "lost" or outside[record["id"]] == 1
        if record["status"] == "lost":
            assert record["error"]["error"] == "WorkerLost"
