"""Pools under a rush: more workers for a backlog, fewer afterwards, a queue in order, turns between workspaces."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from service.workers.crashes import CRASHES_MAX
from tests.integration.pools import samples, until
from tests.skep import Answer, Client, Skep, client_of, running_skep

BRIEF = "import asyncio\nawait asyncio.sleep(0.02)\nreturn n"
HOLD = "import asyncio\nawait asyncio.sleep(20)"
STUBBORN = """
import asyncio
try:
    await asyncio.sleep(9)
finally:
    cache['left'] = 1
"""
FUNCTIONS: Mapping[str, str | Mapping[str, Any]] = {
    "one": "return 1",
    "brief": {"code": BRIEF, "parameters": {"n": {}}},
    "hold": HOLD,
    "seen": {"code": "cache.setdefault('seen', []).append(n)\nreturn cache['seen']", "parameters": {"n": {}}},
}


@pytest.fixture(scope="module")
def skep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Skep]:
    folder = tmp_path_factory.mktemp("skep")
    folder.chmod(0o755)
    with running_skep(folder, {"POOL_SHRINK_AFTER": 200}) as skep:
        yield skep


@pytest.fixture
async def client(skep: Skep) -> AsyncIterator[Client]:
    async with client_of(skep) as client:
        yield client


async def _workers(client: Client, workspace: str, count: int) -> None:
    await until(client, "skep_workspace_workers", workspace, value=count)


async def _held(client: Client, workspace: str) -> "asyncio.Task[Answer]":
    """A run that takes its place until it is cancelled."""
    before = (await samples(client))["skep_runs_running", ()]
    holding = asyncio.create_task(client.run(workspace, "hold"))
    await until(client, "skep_runs_running", value=before + 1)
    return holding


async def _queued(client: Client, workspace: str, function: str, **parameters: object) -> "asyncio.Task[Answer]":
    """A run that waits, and does so before this returns."""
    waiting = (await samples(client)).get(("skep_workspace_waiting", (workspace,)), 0.0)
    task = asyncio.create_task(client.run(workspace, function, **parameters))
    await until(client, "skep_workspace_waiting", workspace, value=waiting + 1)
    return task


async def test_a_floor_is_there_from_deploy_on_and_comes_back_when_workers_die(skep: Skep, client: Client) -> None:
    before = set(skep.worker_pids())
    await client.deploy("floor", FUNCTIONS, pool={"floor": 2})
    await _workers(client, "floor", 2)
    for worker in set(skep.worker_pids()) - before:
        os.kill(worker, signal.SIGKILL)
    await until(client, "skep_worker_ends_total", "crashed", value=2)
    await _workers(client, "floor", 2)
    assert (await client.run("floor", "one")).headers["server-timing"].startswith("queue;dur=0.000, run;")


async def test_a_floor_is_there_when_the_service_starts_again(tmp_path: Path) -> None:
    with running_skep(tmp_path) as skep:
        async with client_of(skep) as client:
            await client.deploy("warm", FUNCTIONS, pool={"floor": 1})
            await client.deploy("cold", {"floor": "return 1"})
    with running_skep(tmp_path) as skep:
        async with client_of(skep) as client:
            await _workers(client, "warm", 1)
            assert len(skep.worker_pids()) == 1
            assert "cold" not in (await client.run("warm", "one")).headers["server-timing"]


async def test_a_rush_has_workers_up_to_the_ceil_and_its_end_leaves_the_cruise(client: Client) -> None:
    await client.deploy("rush", FUNCTIONS, pool={"ceil": 4, "cruise": 2, "concurrency": 1})
    await _workers(client, "rush", 1)
    answers = [asyncio.create_task(client.run("rush", "brief", n=n)) for n in range(60)]
    await _workers(client, "rush", 4)
    assert [(await answer).result for answer in answers] == list(range(60))
    await _workers(client, "rush", 2)
    assert (await client.run("rush", "one")).result == 1


async def test_a_single_run_that_must_wait_a_moment_starts_no_worker(client: Client) -> None:
    await client.deploy("calm", FUNCTIONS, pool={"ceil": 4, "concurrency": 1})
    before = (await samples(client))["skep_worker_starts_total", ("warm",)]
    for _ in range(10):
        await asyncio.gather(client.run("calm", "one"), client.run("calm", "one"))
    assert (await samples(client))["skep_worker_starts_total", ("warm",)] == before


async def test_runs_begin_in_the_order_in_which_they_came(client: Client) -> None:
    await client.deploy("order", FUNCTIONS, pool={"concurrency": 1})
    holding = await _held(client, "order")
    waiting = [await _queued(client, "order", "seen", n=n) for n in range(10)]
    holding.cancel()
    answers = await asyncio.gather(*waiting)
    assert sorted(len(answer.result) for answer in answers) == list(range(1, 11))
    assert max(answers, key=lambda answer: len(answer.result)).result == list(range(10))


async def test_who_waits_longer_than_the_pool_allows_is_told_so(client: Client) -> None:
    await client.deploy("late", FUNCTIONS, pool={"concurrency": 1, "timeout": 100})
    holding = await _held(client, "late")
    answer = await client.run("late", "one")
    assert (answer.status, answer.body["error"]) == (503, "QueueTimeout")
    assert int(answer.headers["Retry-After"]) >= 1
    waited_ms = float(answer.headers["server-timing"].split(",")[0].removeprefix("queue;dur="))
    assert waited_ms >= 100
    holding.cancel()
    assert (await client.run("late", "one")).result == 1


async def test_a_full_queue_turns_the_next_away_and_one_that_left_makes_room(client: Client) -> None:
    await client.deploy("full", FUNCTIONS, pool={"concurrency": 1, "queue": 1})
    holding = await _held(client, "full")
    waiting = await _queued(client, "full", "one")
    refused = await client.run("full", "one")
    assert (refused.status, refused.body["error"]) == (429, "TooManyRequests")
    assert int(refused.headers["Retry-After"]) >= 1
    waiting.cancel()
    await until(client, "skep_workspace_waiting", "full", value=0)
    waiting = await _queued(client, "full", "one")
    holding.cancel()
    assert (await waiting).result == 1


async def test_no_queue_at_all_still_waits_for_the_first_worker(client: Client) -> None:
    await client.deploy("none", FUNCTIONS, pool={"concurrency": 1, "queue": 0, "cruise": 0})
    await _workers(client, "none", 0)
    assert (await client.run("none", "one")).result == 1
    holding = await _held(client, "none")
    assert (await client.run("none", "one")).status == 429
    holding.cancel()


async def test_one_run_at_a_time_means_that_nothing_of_the_one_before_is_left(client: Client) -> None:
    functions: dict[str, str | Mapping[str, Any]] = {
        "stubborn": {"code": STUBBORN, "timeout": 50},
        "left": "return cache.get('left')",
    }
    await client.deploy("alone", functions, pool={"concurrency": 1})
    assert (await client.run("alone", "stubborn")).status == 504
    assert (await client.run("alone", "left")).result == 1


async def test_a_deploy_gives_those_who_wait_the_new_code(client: Client) -> None:
    await client.deploy("swap", FUNCTIONS, pool={"concurrency": 1})
    holding = await _held(client, "swap")
    stays, goes = await _queued(client, "swap", "one"), await _queued(client, "swap", "brief", n=1)
    await client.deploy("swap", {"one": "return 'new'"}, pool={"concurrency": 1})
    assert (await stays).result == "new"
    gone = await goes
    assert (gone.status, gone.body["error"]) == (404, "ObjectNotFoundError")
    holding.cancel()


async def test_a_deleted_workspace_tells_those_who_wait(client: Client) -> None:
    await client.deploy("gone", FUNCTIONS, pool={"concurrency": 1})
    holding = await _held(client, "gone")
    waiting = await _queued(client, "gone", "one")
    assert (await client.call("DELETE", "/v2/functions/gone")).status == 204
    assert (await waiting).status == 404
    holding.cancel()


async def test_workers_that_crash_in_a_loop_come_back_slowly_or_with_a_deploy(tmp_path: Path) -> None:
    with running_skep(tmp_path) as skep:
        async with client_of(skep) as client:
            await client.deploy("crash", FUNCTIONS)
            for _ in range(CRASHES_MAX):
                running = await _held(client, "crash")
                (worker,) = skep.worker_pids()
                os.kill(worker, signal.SIGKILL)
                assert (await running).status == 502
            refused = await client.run("crash", "one")
            assert (refused.status, refused.body["error"]) == (503, "ServiceUnavailable")
            assert "signal 9" in refused.body["details"]["reason"]
            assert refused.body["details"]["crashes"] == CRASHES_MAX
            assert int(refused.headers["Retry-After"]) >= 1
            assert (await client.inline("other", "return 1")).result == 1
            await client.deploy("crash", FUNCTIONS)
            assert (await client.run("crash", "one")).result == 1


@pytest.mark.parametrize(
    ("pool", "path"),
    [
        ({"ceil": 9}, "pool.ceil"),
        ({"floor": 9}, "pool.floor"),
        ({"concurrency": 1001}, "pool.concurrency"),
        ({"queue": 10_001}, "pool.queue"),
        ({"timeout": 60_001}, "pool.timeout"),
        ({"ceil": 0}, "pool.ceil"),
        ({"concurrency": 0}, "pool.concurrency"),
        ({"timeout": 0}, "pool.timeout"),
    ],
)
async def test_a_pool_beyond_what_the_operator_allows_is_refused(
    client: Client, pool: dict[str, int], path: str
) -> None:
    refused = await client.deploy("greedy", FUNCTIONS, pool=pool)
    assert refused.status == 400
    assert [problem["path"] for problem in refused.body["details"]] == [path]


async def test_runs_of_one_workspace_delay_those_of_another_by_one_turn(tmp_path: Path) -> None:
    with running_skep(tmp_path, {"RUNS_MAX": 1}) as skep:
        async with client_of(skep) as client:
            done: list[str] = []

            async def run(workspace: str) -> None:
                assert (await client.run(workspace, "brief", n=1)).result == 1
                done.append(workspace)

            for workspace in ("many", "single"):
                await client.deploy(workspace, FUNCTIONS)
            holding = await _held(client, "many")
            async with asyncio.TaskGroup() as group:
                for _ in range(20):
                    group.create_task(run("many"))
                await until(client, "skep_runs_waiting", value=20)
                group.create_task(run("single"))
                await until(client, "skep_runs_waiting", value=21)
                holding.cancel()
            assert done.index("single") <= 2


async def test_a_workspace_that_is_never_idle_gives_up_its_place_for_another(tmp_path: Path) -> None:
    with running_skep(tmp_path, {"FUNCTIONS_WORKERS_MAX_LRU": 1}) as skep:
        async with client_of(skep) as client:
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
            holding = [await _held(client, "w"), await _held(client, "w")]
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
    assert counted == {**dict.fromkeys((*once, *rest), 1), "unavailable": 0}
