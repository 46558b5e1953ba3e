"""A service that is killed while it has accepted runs: each is finished or lost after a restart, and none ran twice."""

import asyncio
import contextlib
import signal
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import aiohttp

from tests.origin import Origin
from tests.skep import Client, Skep, client_of, running_skep

SETTINGS = {"EGRESS_ALLOW": "127.0.0.1:*", "JOBS_CONCURRENCY": 4, "SHUTDOWN_GRACE_PERIOD": 300}
ASYNC = {"Prefer": "respond-async"}
WITH_URL = {"url": {"type": "string", "required": True}}
COUNTED = {"code": "await fetch(url + '/echo?' + context.run_id); return 1", "parameters": WITH_URL}
HANG = {"code": "await fetch(url + '/hang?' + context.run_id)", "parameters": WITH_URL}


def service(stack: ExitStack, folder: Path, name: str) -> Skep:
    (folder / name).mkdir(exist_ok=True)
    shared = {"DATABASE_PATH": folder / "skep.db", "FUNCTIONS_STORAGE_FILESYSTEM_DIRPATH": folder / "functions"}
    return stack.enter_context(running_skep(folder / name, {**SETTINGS, **shared}))


async def accept(client: Client, function: str, origin: Origin, workspace: str = "crashing") -> str:
    answer = await client.call(
        "POST", f"/v2/functions/{workspace}/run/{function}", json={"parameters": {"url": origin.url}}, headers=ASYNC
    )
    assert answer.status == 202, answer.body
    run_id: str = answer.body["id"]
    return run_id


async def ended(client: Client, run_id: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            answer = await client.call("GET", f"/v2/functions/crashing/runs/{run_id}")
            assert answer.status == 200, (run_id, answer.body)
            if answer.body["finished"]:
                body: dict[str, Any] = answer.body
                return body
            await asyncio.sleep(0.02)


def runs(origin: Origin) -> Counter[str]:
    """How often each run was outside."""
    return Counter(request.partition("?")[2] for request in origin.requests)


async def test_after_a_kill_every_accepted_run_is_finished_or_lost_and_none_ran_twice(
    tmp_path: Path, origin: Origin
) -> None:
    accepted: list[str] = []

    async def keep_asking(client: Client) -> None:
        while True:
            accepted.append(await accept(client, "count", origin))

    with ExitStack() as stack:
        skep = service(stack, tmp_path, "one")
        async with client_of(skep) as client:
            await client.deploy("crashing", {"count": COUNTED})
            asking = [asyncio.create_task(keep_asking(client)) for _ in range(16)]
            while len(origin.requests) < 60:  # noqa: ASYNC110  # the origin has no event for it
                await asyncio.sleep(0.005)
            skep.process.send_signal(signal.SIGKILL)
            skep.process.wait()
            for task in asking:
                with contextlib.suppress(aiohttp.ClientError):
                    await task
    before = runs(origin)
    with ExitStack() as stack:
        async with client_of(service(stack, tmp_path, "one")) as client:
            records = [await ended(client, run_id) for run_id in accepted]
    outside = runs(origin)
    assert set(outside.values()) == {1}
    statuses = Counter(record["status"] for record in records)
    assert set(statuses) <= {"succeeded", "lost"}
    assert len(before) < len(outside), "there was nothing left to do after the restart"
    for record in records:
        assert record["status"] == "lost" or outside[record["id"]] == 1
        if record["status"] == "lost":
            assert record["error"]["error"] == "WorkerLost"


async def test_a_service_that_lives_takes_over_from_one_that_died_and_not_before(
    tmp_path: Path, origin: Origin
) -> None:
    with ExitStack() as stack:
        one, two = service(stack, tmp_path, "one"), service(stack, tmp_path, "two")
        async with client_of(one) as here, client_of(two) as there:
            await there.deploy("crashing", {"hang": HANG, "count": COUNTED})
            hanging = [await accept(there, "hang", origin) for _ in range(5)]
            for _ in range(4):
                await origin.hanging.acquire()
            waiting = [await accept(there, "count", origin) for _ in range(4)]
            cancelled = await here.call("DELETE", f"/v2/functions/crashing/runs/{waiting[0]}")
            assert cancelled.status == 202
            assert (await ended(here, waiting[0]))["status"] == "cancelled"
            cancelled = await here.call("DELETE", f"/v2/functions/crashing/runs/{hanging[0]}")
            assert cancelled.status == 202
            assert (await ended(here, hanging[0]))["status"] == "cancelled"
            # Its place is free for the next.
            await origin.hanging.acquire()
            caller = asyncio.create_task(there.run("crashing", "hang", url=origin.url))
            await origin.hanging.acquire()
            run_id = origin.requests[-1].partition("?")[2]
            # Only the other service knows of it.
            assert (await here.call("DELETE", f"/v2/functions/crashing/runs/{run_id}")).status == 204
            assert (await caller).body["details"] == {"status": "cancelled"}
            assert (await here.call("DELETE", f"/v2/functions/crashing/runs/{run_id}")).status == 409
            two.process.send_signal(signal.SIGSTOP)
            states = [(await here.call("GET", f"/v2/functions/crashing/runs/{of}")).body for of in hanging[1:]]
            assert {state["status"] for state in states} == {"running"}
            two.process.kill()
            two.process.wait()
            assert {(await ended(here, run_id))["status"] for run_id in hanging[1:]} == {"lost"}
            assert {(await ended(here, run_id))["status"] for run_id in waiting[1:]} == {"succeeded"}
    assert set(runs(origin).values()) == {1}


async def test_what_waits_when_the_service_is_told_to_stop_runs_when_it_is_back(tmp_path: Path, origin: Origin) -> None:
    with ExitStack() as stack:
        skep = service(stack, tmp_path, "one")
        async with client_of(skep) as client:
            await client.deploy("crashing", {"hang": HANG, "count": COUNTED})
            hanging = [await accept(client, "hang", origin) for _ in range(4)]
            for _ in hanging:
                await origin.hanging.acquire()
            waiting = [await accept(client, "count", origin) for _ in range(4)]
            path = f"/v2/functions/crashing/runs/{waiting[0]}/logs?follow=1"
            async with client.session.get(path) as following:
                skep.process.terminate()
                # No end of the run is told: it is still to come.
                assert b"event:" not in await following.read()
            assert skep.process.wait(timeout=20) == 0
    assert len(origin.requests) == 4
    with ExitStack() as stack:
        async with client_of(service(stack, tmp_path, "one")) as client:
            assert {(await ended(client, run_id))["status"] for run_id in waiting} == {"succeeded"}
            assert {(await ended(client, run_id))["status"] for run_id in hanging} == {"lost"}
    assert set(runs(origin).values()) == {1}
