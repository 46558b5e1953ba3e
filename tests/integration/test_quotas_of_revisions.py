"""Revisions of a workspace have one quota between them, and going back to one is a change like any other."""

import asyncio

from tests.integration.pools import FUNCTIONS, held
from tests.skep import Answer, Client


async def run_first(client: Client, workspace: str) -> Answer:
    return await client.call("POST", f"/v2/functions/{workspace}/run/one?revision=1", json={})


async def set_quotas(client: Client, workspace: str, **override: int) -> None:
    answer = await client.call("PUT", f"/v2/functions/{workspace}/quotas", json=override)
    assert answer.status == 200


async def test_runs_of_every_revision_count(client: Client, workspace: str) -> None:
    await client.deploy(workspace, {"one": "return 1"})
    await client.deploy(workspace, {"one": "return 2"})
    await set_quotas(client, workspace, runs_per_minute=2)
    assert [(await run_first(client, workspace)).result, (await client.run(workspace, "one")).result] == [1, 2]
    assert [(await run_first(client, workspace)).status, (await client.run(workspace, "one")).status] == [429, 429]


async def test_runs_of_every_revision_are_under_way_together(client: Client, workspace: str) -> None:
    await client.deploy(workspace, {"one": "return 1"})
    await client.deploy(workspace, FUNCTIONS)
    assert (await run_first(client, workspace)).result == 1
    await set_quotas(client, workspace, runs_concurrent=1)
    holding = await held(client, workspace)
    waiting = asyncio.create_task(run_first(client, workspace))
    usage = {"runs_waiting": 0}
    while not usage["runs_waiting"]:  # metrics tell of some workspaces only, and the service of all tests has more
        usage = (await client.call("GET", f"/v2/functions/{workspace}/quotas")).body["usage"]
    holding.cancel()
    assert (await waiting).result == 1


async def test_a_revision_that_is_too_large_by_now_does_not_come_back(client: Client, workspace: str) -> None:
    await client.deploy(workspace, {"one": "return 1", "two": "return 2"})
    await client.deploy(workspace, {"one": "return 1"})
    await set_quotas(client, workspace, functions_max=1)
    refused = await client.call("POST", f"/v2/functions/{workspace}/revisions/1/activate")
    assert (refused.status, refused.body["details"][0]["message"]) == (400, "has 2 functions; the quota is 1")
    assert (await run_first(client, workspace)).result == 1
