"""What pools of different workspaces do to each other, and a workspace to itself: each in a service of its own."""

import asyncio
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from service.workers.crashes import CRASHES_MAX
from tests.integration.pools import FUNCTIONS, HOLD, held, sample, samples, until, workers
from tests.skep import Skep, client_of, running_skep


async def test_a_floor_is_there_when_the_service_starts_again(tmp_path: Path) -> None:
    with running_skep(tmp_path) as skep:
        async with client_of(skep) as client:
            await client.deploy("warm", FUNCTIONS, pool={"floor": 1})
            await client.deploy("cold", {"floor": "return 1"})
    with running_skep(tmp_path) as skep:
        async with client_of(skep) as client:
            await workers(client, "warm", 1)
            assert len(skep.worker_pids()) == 1
            assert "cold" not in (await client.run("warm", "one")).headers["server-timing"]


async def test_large_requests_that_wait_are_bounded_in_bytes_too(tmp_path: Path) -> None:
    with running_skep(tmp_path, {"RUNS_MAX_SIZE": "1mb"}) as skep:
        async with client_of(skep) as client:
            await client.deploy("large", FUNCTIONS, pool={"concurrency": 1})
            holding = await held(client, "large")
            waiting = [asyncio.create_task(client.run("large", "brief", n="x" * 200_000)) for _ in range(5)]
            await until(client, "skep_runs_total", "queue_full", value=3)
            assert (await client.inline("other", "return len(x)", x="x" * 200_000)).result == 200_000
            holding.cancel()
            assert sorted([(await answer).status for answer in waiting]) == [200, 200, 429, 429, 429]
            assert (await client.run("large", "brief", n="x" * 200_000)).status == 200


async def test_workers_that_crash_in_a_loop_come_back_slowly_or_with_a_deploy(one_place: Skep) -> None:
    async with client_of(one_place) as client:
        await client.deploy("crash", FUNCTIONS)
        unavailable = await sample(client, "skep_runs_total", "unavailable")
        for _ in range(CRASHES_MAX):
            running = await held(client, "crash")
            (worker,) = one_place.worker_pids()
            os.kill(worker, signal.SIGKILL)
            assert (await running).status == 502
        refused = await client.run("crash", "one")
        assert (refused.status, refused.body["error"]) == (503, "ServiceUnavailable")
        assert "signal 9" in refused.body["details"]["reason"]
        assert refused.body["details"]["crashes"] == CRASHES_MAX
        assert int(refused.headers["Retry-After"]) >= 1
        assert await sample(client, "skep_runs_total", "unavailable") == unavailable + 1
        assert (await client.inline("other", "return 1")).result == 1
        await client.deploy("crash", FUNCTIONS)
        assert (await client.run("crash", "one")).result == 1


async def test_runs_of_one_workspace_delay_those_of_another_by_one_turn(tmp_path: Path) -> None:
    with running_skep(tmp_path, {"RUNS_MAX": 1}) as skep:
        async with client_of(skep) as client:
            done: list[str] = []

            async def run(workspace: str) -> None:
                assert (await client.run(workspace, "brief", n=1)).result == 1
                done.append(workspace)

            for workspace in ("many", "single"):
                await client.deploy(workspace, FUNCTIONS)
            holding = await held(client, "many")
            async with asyncio.TaskGroup() as group:
                for _ in range(20):
                    group.create_task(run("many"))
                await until(client, "skep_runs_waiting", value=20)
                group.create_task(run("single"))
                await until(client, "skep_runs_waiting", value=21)
                holding.cancel()
            assert done.index("single") <= 2


async def test_a_workspace_that_is_never_idle_gives_up_its_place_for_another(one_place: Skep) -> None:
    async with client_of(one_place) as client:
        await client.deploy("busy", FUNCTIONS)
        rush = True

        async def keep_busy() -> None:
            while rush:
                assert (await client.run("busy", "brief", n=1)).result == 1

        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(keep_busy())
            for _ in range(2):
                assert (await client.inline("other", "return 2")).result == 2
            rush = False


async def test_every_run_is_counted_once_by_how_it_ended(tmp_path: Path) -> None:
    functions: dict[str, str | Mapping[str, Any]] = {
        **FUNCTIONS,
        "fail": "raise ValueError('x')",
        "late": {"code": HOLD, "timeout": 30},
        "big": "return [0] * 10**10",
        "typed": {"code": "return n", "parameters": {"n": {"type": "integer"}}},
    }
    with running_skep(tmp_path) as skep:
        async with client_of(skep) as client:
            await client.deploy("w", functions, pool={"concurrency": 2, "queue": 1, "timeout": 50})
            for function in ("one", "fail", "late", "big"):
                await client.run("w", function)
            await client.run("w", "typed", n="x")
            await client.inline("w", "return (")
            await client.run("w", "nothing")
            holding = [await held(client, "w"), await held(client, "w")]
            waited, refused = await asyncio.gather(client.run("w", "one"), client.run("w", "one"))
            assert sorted([waited.status, refused.status]) == [429, 503]
            holding[0].cancel()
            await until(client, "skep_runs_total", "cancelled", value=1)
            os.kill(skep.worker_pids()[0], signal.SIGKILL)
            assert (await holding[1]).status == 502
            seen = await samples(client)
    counted = {labels[0]: value for (name, labels), value in seen.items() if name == "skep_runs_total"}
    once = ("returned", "raised", "timed_out", "memory_exceeded", "parameters_refused", "code_refused")
    rest = ("queue_full", "queue_timeout", "cancelled", "worker_lost")
    assert counted == {**dict.fromkeys((*once, *rest), 1), "unavailable": 0, "quota_spent": 0}
