"""Pools under a rush: more workers for a backlog, fewer afterwards, a queue in order, turns between workspaces."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import pytest

from tests.integration.pools import FUNCTIONS, STUBBORN, held, queued, samples, until, workers
from tests.skep import Client, Skep, client_of, running_skep


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


async def test_a_floor_is_there_from_deploy_on_and_comes_back_when_workers_die(skep: Skep, client: Client) -> None:
    before = set(skep.worker_pids())
    await client.deploy("floor", FUNCTIONS, pool={"floor": 2})
    await workers(client, "floor", 2)
    for worker in set(skep.worker_pids()) - before:
        os.kill(worker, signal.SIGKILL)
    await until(client, "skep_worker_ends_total", "crashed", value=2)
    await workers(client, "floor", 2)
    assert (await client.run("floor", "one")).headers["server-timing"].startswith("queue;dur=0.000, run;")


async def test_a_rush_has_workers_up_to_the_ceil_and_its_end_leaves_the_cruise(client: Client) -> None:
    await client.deploy("rush", FUNCTIONS, pool={"ceil": 4, "cruise": 2, "concurrency": 1})
    await workers(client, "rush", 1)
    answers = [asyncio.create_task(client.run("rush", "brief", n=n)) for n in range(60)]
    await workers(client, "rush", 4)
    assert [(await answer).result for answer in answers] == list(range(60))
    await workers(client, "rush", 2)
    assert (await client.run("rush", "one")).result == 1


async def test_a_single_run_that_must_wait_a_moment_starts_no_worker(client: Client) -> None:
    await client.deploy("calm", FUNCTIONS, pool={"ceil": 4, "concurrency": 1})
    before = (await samples(client))["skep_worker_starts_total", ("warm",)]
    for _ in range(10):
        await asyncio.gather(client.run("calm", "one"), client.run("calm", "one"))
    assert (await samples(client))["skep_worker_starts_total", ("warm",)] == before


async def test_runs_begin_in_the_order_in_which_they_came(client: Client) -> None:
    await client.deploy("order", FUNCTIONS, pool={"concurrency": 1})
    holding = await held(client, "order")
    waiting = [await queued(client, "order", "seen", n=n) for n in range(10)]
    holding.cancel()
    answers = await asyncio.gather(*waiting)
    assert sorted(len(answer.result) for answer in answers) == list(range(1, 11))
    assert max(answers, key=lambda answer: len(answer.result)).result == list(range(10))


async def test_who_waits_longer_than_the_pool_allows_is_told_so(client: Client) -> None:
    await client.deploy("late", FUNCTIONS, pool={"concurrency": 1, "timeout": 100})
    holding = await held(client, "late")
    answer = await client.run("late", "one")
    assert (answer.status, answer.body["error"]) == (503, "QueueTimeout")
    assert int(answer.headers["Retry-After"]) >= 1
    waited_ms = float(answer.headers["server-timing"].split(",")[0].removeprefix("queue;dur="))
    assert waited_ms >= 100
    holding.cancel()
    assert (await client.run("late", "one")).result == 1


async def test_a_full_queue_turns_the_next_away_and_one_that_left_makes_room(client: Client) -> None:
    await client.deploy("full", FUNCTIONS, pool={"concurrency": 1, "queue": 1})
    holding = await held(client, "full")
    waiting = await queued(client, "full", "one")
    refused = await client.run("full", "one")
    assert (refused.status, refused.body["error"]) == (429, "TooManyRequests")
    assert int(refused.headers["Retry-After"]) >= 1
    waiting.cancel()
    await until(client, "skep_workspace_waiting", "full", value=0)
    waiting = await queued(client, "full", "one")
    holding.cancel()
    assert (await waiting).result == 1


async def test_no_queue_at_all_still_waits_for_the_first_worker(client: Client) -> None:
    await client.deploy("none", FUNCTIONS, pool={"concurrency": 1, "queue": 0, "cruise": 0})
    await workers(client, "none", 0)
    assert (await client.run("none", "one")).result == 1
    holding = await held(client, "none")
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
    holding = await held(client, "swap")
    stays, goes = await queued(client, "swap", "one"), await queued(client, "swap", "brief", n=1)
    await client.deploy("swap", {"one": "return 'new'"}, pool={"concurrency": 1})
    assert (await stays).result == "new"
    gone = await goes
    assert (gone.status, gone.body["error"]) == (404, "ObjectNotFoundError")
    holding.cancel()


async def test_a_deleted_workspace_tells_those_who_wait(client: Client) -> None:
    await client.deploy("gone", FUNCTIONS, pool={"concurrency": 1})
    holding = await held(client, "gone")
    waiting = await queued(client, "gone", "one")
    assert (await client.call("DELETE", "/v2/functions/gone")).status == 204
    assert (await waiting).status == 404
    holding.cancel()


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
