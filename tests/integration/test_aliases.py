"""Aliases and disabled functions: which revision a run gets, and whether it gets one."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from service.metrics.tally import RETURNED
from service.workers.pools import REVISIONS_AT_ONCE
from tests.integration.pools import samples, until
from tests.skep import Answer, Client, Skep, client_of, running_skep

RUNS = 120


@pytest.fixture(scope="module")
def skep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Skep]:
    with running_skep(tmp_path_factory.mktemp("aliases")) as skep:
        yield skep


@pytest.fixture
async def client(skep: Skep) -> AsyncIterator[Client]:
    async with client_of(skep) as client:
        yield client


async def _set(client: Client, workspace: str, name: str, document: object) -> Answer:
    return await client.call("PUT", f"/v2/functions/{workspace}/aliases/{name}", json=document)


async def _run(client: Client, workspace: str, revision: object, function: str = "f") -> Answer:
    return await client.call("POST", f"/v2/functions/{workspace}/run/{function}?revision={revision}")


async def _deploy(client: Client, workspace: str, *codes: str) -> None:
    for code in codes:
        assert (await client.deploy(workspace, {"f": code})).status == 200


async def test_an_alias_chooses_what_runs_get(client: Client) -> None:
    await _deploy(client, "chosen", "return 1", "return 2", "return 3")
    assert (await _set(client, "chosen", "stable", {"revision": 1})).body == {"alias": "stable", "revision": 1}
    answer = await _run(client, "chosen", "stable")
    assert (answer.result, answer.headers["x-revision"]) == (1, "1")
    assert (await _set(client, "chosen", "stable", {"revision": 2})).status == 200
    assert (await _run(client, "chosen", "stable")).result == 2
    plain = await client.run("chosen", "f")
    assert (plain.result, "x-revision" in plain.headers) == (3, False)

    await _set(client, "chosen", "live", {"revision": 1})
    pinned = await client.run("chosen", "f")
    assert (pinned.result, pinned.headers["x-revision"]) == (1, "1")
    listed = await client.call("GET", "/v2/functions/chosen/aliases")
    assert listed.body == {"items": [{"alias": "live", "revision": 1}, {"alias": "stable", "revision": 2}]}
    page = await client.call("GET", "/v2/functions/chosen/aliases?limit=1")
    rest = await client.call("GET", f"/v2/functions/chosen/aliases?cursor={page.body['cursor']}")
    assert (page.body["items"], rest.body["items"]) == (listed.body["items"][:1], listed.body["items"][1:])
    assert (await client.call("GET", "/v2/functions/chosen/aliases/stable")).body == listed.body["items"][1]

    assert (await client.call("DELETE", "/v2/functions/chosen/aliases/live")).status == 204
    assert (await client.call("DELETE", "/v2/functions/chosen/aliases/live")).status == 404
    assert (await client.run("chosen", "f")).result == 3
    assert (await _run(client, "chosen", "live")).result == 3


async def test_weights_are_kept(client: Client) -> None:
    await _deploy(client, "weighted", "return 1", "return 2")
    shown = await _set(client, "weighted", "live", {"revisions": {"1": 0.9, "2": 0.1}})
    assert shown.body == {"alias": "live", "revisions": {"1": 0.9, "2": 0.1}}
    answers = [await client.run("weighted", "f") for _ in range(RUNS)]
    assert all(str(answer.result) == answer.headers["x-revision"] for answer in answers)
    # Three in 10^6 of such series have none of the rarer ones.
    assert RUNS * 0.6 < sum(answer.result == 1 for answer in answers) < RUNS


@pytest.mark.parametrize(
    ("document", "status"),
    [
        ({}, 400),
        ([], 400),
        ({"revision": 0}, 400),
        ({"revision": True}, 400),
        ({"revision": "1"}, 400),
        ({"revision": 777}, 404),
        ({"revision": 1, "revisions": {"1": 1}}, 400),
        ({"revision": 1, "more": 1}, 400),
        ({"revisions": {}}, 400),
        ({"revisions": {"1": 0}}, 400),
        ({"revisions": {"1": -1}}, 400),
        ({"revisions": {"1": True}}, 400),
        ({"revisions": {"1": "1"}}, 400),
        ({"revisions": {"1": 1e10}}, 400),
        ({"revisions": {"01": 1}}, 400),
        ({"revisions": {"1": 1, "777": 1}}, 404),
        ({"revisions": {str(number): 1 for number in range(1, 12)}}, 400),
        ({"revisions": {"1": 1e-300}}, 200),
    ],
)
async def test_what_is_no_alias_is_refused(client: Client, document: Any, status: int) -> None:
    await _deploy(client, "refused", "return 1")
    assert (await _set(client, "refused", "a", document)).status == status
    assert (await _set(client, "nowhere", "a", {"revision": 1})).status == 404
    assert (await _set(client, "refused", "1a", {"revision": 1})).status == 400


async def test_a_revision_counts_as_its_workspace(client: Client) -> None:
    """Its pool and its cache are its own, and nothing shows them as a workspace of their own."""
    code = "cache['n'] = cache.get('n', 0) + 1\nreturn [context.workspace, cache['n']]"
    await _deploy(client, "counted", code, f"{code}  # newer")
    assert (await _run(client, "counted", 1)).result == ["counted", 1]
    assert (await _run(client, "counted", 1)).result == ["counted", 2]
    assert (await client.run("counted", "f")).result == ["counted", 1]
    assert (await _run(client, "counted", 2)).result == ["counted", 2]
    found = await samples(client)
    assert found["skep_workspace_runs_total", (RETURNED, "counted")] == 4
    assert found["skep_workspace_workers", ("counted",)] == 2
    assert not [labels for _, labels in found if any("@" in label for label in labels)]


async def test_a_run_of_a_revision_ends_like_every_other(client: Client) -> None:
    failing = {"f": {"code": "raise ValueError(n)", "parameters": {"n": {"type": "integer"}}}}
    await client.deploy("ends", failing)
    await _deploy(client, "ends", "return 1")
    path = "/v2/functions/ends/run/f?revision=1"
    raised = await client.call("POST", path, json={"parameters": {"n": 5}})
    assert (raised.status, raised.body["message"], raised.headers["x-revision"]) == (500, "ValueError: 5", "1")
    refused = await client.call("POST", path, json={"parameters": {"n": "x"}})
    assert (refused.status, refused.headers["x-revision"]) == (400, "1")
    missing = await _run(client, "ends", 1, "g")
    assert (missing.status, missing.body["message"]) == (404, "Revision 1 of 'ends' has no function named 'g'.")


async def test_so_many_revisions_have_workers_at_once(client: Client) -> None:
    codes = [f"import asyncio\nawait asyncio.sleep(wait)\nreturn {n}" for n in range(REVISIONS_AT_ONCE + 2)]
    for code in codes:
        await client.deploy("crowd", {"f": {"code": code, "parameters": {"wait": {"default": 0}}}})

    async def run(number: int, wait: float) -> Answer:
        body = {"parameters": {"wait": wait}}
        return await client.call("POST", f"/v2/functions/crowd/run/f?revision={number}", json=body)

    held = [asyncio.create_task(run(number, 20)) for number in range(1, REVISIONS_AT_ONCE + 1)]
    await until(client, "skep_runs_running", value=REVISIONS_AT_ONCE)
    refused = await run(REVISIONS_AT_ONCE + 1, 0)
    assert (refused.status, refused.body["error"]) == (503, "ServiceUnavailable")
    assert (await client.run("crowd", "f")).result == REVISIONS_AT_ONCE + 1
    for task in held:
        task.cancel()
    await asyncio.gather(*held, return_exceptions=True)
    answer = await run(REVISIONS_AT_ONCE + 1, 0)
    while answer.status == 503:  # until the service has heard that they have gone
        answer = await run(REVISIONS_AT_ONCE + 1, 0)
    assert answer.result == REVISIONS_AT_ONCE


async def test_a_disabled_function_does_not_run_until_it_is_enabled(client: Client) -> None:
    functions = {"f": "return 1", "g": "return await f()"}
    await client.deploy("switch", functions)
    path = "/v2/functions/switch/functions/f"
    assert (await client.call("POST", f"{path}/disable")).status == 204
    assert (await client.call("POST", f"{path}/disable")).status == 204
    for answer in (await client.run("switch", "f"), await _run(client, "switch", 1)):
        assert (answer.status, answer.body["error"]) == (403, "ForbiddenError")
        assert "is disabled" in answer.body["message"]
    assert (await client.run("switch", "g")).result == 1
    await client.deploy("switch", functions)
    assert (await client.run("switch", "f")).status == 403
    assert (await client.call("POST", f"{path}/enable")).status == 204
    assert (await client.run("switch", "f")).result == 1

    await client.call("POST", f"{path}/disable")
    await client.call("DELETE", path)
    await client.deploy("switch", functions)
    assert (await client.run("switch", "f")).result == 1
    assert (await client.call("POST", "/v2/functions/switch/functions/h/disable")).status == 404
    assert (await client.call("POST", "/v2/functions/nowhere/functions/f/disable")).status == 404


async def test_nothing_that_was_decided_outlives_its_workspace(client: Client) -> None:
    await _deploy(client, "gone", "return 1", "return 2")
    await _set(client, "gone", "live", {"revision": 1})
    await client.call("POST", "/v2/functions/gone/functions/f/disable")
    await client.call("DELETE", "/v2/functions/gone")
    assert (await client.call("GET", "/v2/functions/gone/aliases")).status == 404
    assert (await client.call("DELETE", "/v2/functions/gone/aliases/live")).status == 404
    await _deploy(client, "gone", "return 3")
    assert (await client.run("gone", "f")).result == 3
