"""Quotas in one running service: exact however many ask at once, changed while runs are under way."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import pytest

from service.domain.quotas import QUOTA_NAMES
from tests.integration.pools import FUNCTIONS, held, queued, sample, until, workers
from tests.skep import Answer, Client, Skep, client_of, running_skep

AT_ONCE = 32
RATE_HEADERS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
DEFAULTS = {"QUOTA_FUNCTIONS": 6, "QUOTA_HISTORY_DAYS": 7, "QUOTA_HISTORY_ROWS": 1000, "WORKSPACES_MAX": 20}
EFFECTIVE: Mapping[str, int] = {
    **dict.fromkeys(QUOTA_NAMES, 0), "functions_max": 6, "history_days": 7, "history_rows": 1000,
}  # fmt: skip

COUNT = """
import asyncio
cache["now"] = cache.get("now", 0) + 1
cache["most"] = max(cache.get("most", 0), cache["now"])
await asyncio.sleep(0.005)
cache["now"] -= 1
return cache["most"]
"""


@pytest.fixture(scope="module")
def skep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Skep]:
    folder = tmp_path_factory.mktemp("skep")
    folder.chmod(0o755)
    with running_skep(folder, DEFAULTS) as skep:
        yield skep


@pytest.fixture
async def client(skep: Skep) -> AsyncIterator[Client]:
    async with client_of(skep) as client:
        yield client


async def set_quotas(client: Client, workspace: str, **override: int) -> Any:
    answer = await client.call("PUT", f"/v2/functions/{workspace}/quotas", json=override)
    assert answer.status == 200, answer.body
    return answer.body


async def quotas(client: Client, workspace: str) -> Any:
    answer = await client.call("GET", f"/v2/functions/{workspace}/quotas")
    assert answer.status == 200
    return answer.body


def rate(answer: Answer) -> tuple[int, ...]:
    """What the headers say."""
    return tuple(int(answer.headers[name]) for name in RATE_HEADERS)


def objects(functions: Mapping[str, str]) -> Any:
    return json.loads(json.dumps({"functions": {name: {"code": code} for name, code in functions.items()}}))


async def test_a_workspace_that_is_nowhere_has_the_defaults_and_may_be_given_others(client: Client) -> None:
    assert await quotas(client, "nowhere") == {
        "workspace": "nowhere",
        "quotas": EFFECTIVE,
        "overridden": [],
        "limits": {"runs_per_minute": 0, "runs_concurrent": 0},
        "usage": {"runs_left": None, "runs_concurrent": 0, "runs_waiting": 0, "functions": 0, "code_bytes": 0},
    }
    shown = await set_quotas(client, "nowhere", runs_per_minute=5, functions_max=0)
    assert shown == await quotas(client, "nowhere")
    assert shown["quotas"] == {**EFFECTIVE, "runs_per_minute": 5, "functions_max": 0}
    assert (shown["overridden"], shown["usage"]["runs_left"]) == (["runs_per_minute", "functions_max"], 5)
    shown = await set_quotas(client, "nowhere", history_days=1)
    assert (shown["quotas"], shown["overridden"]) == ({**EFFECTIVE, "history_days": 1}, ["history_days"])
    for _ in range(2):
        assert (await client.call("DELETE", "/v2/functions/nowhere/quotas")).status == 204
        assert (await quotas(client, "nowhere"))["quotas"] == EFFECTIVE


async def test_what_is_no_quota_is_refused(client: Client) -> None:
    answer = await client.call("PUT", "/v2/functions/w/quotas", json={"runs": 1, "runs_burst": -1})
    assert answer.status == 400
    assert [problem["path"] for problem in answer.body["details"]] == ["runs", "runs_burst"]


async def test_no_run_too_many_and_none_too_few_begin_however_many_ask_at_once(client: Client) -> None:
    await client.deploy("rate", FUNCTIONS)
    await set_quotas(client, "rate", runs_per_minute=20)
    asked = [client.run("rate", "one") if n % 2 else client.inline("rate", "return 1") for n in range(2 * AT_ONCE)]
    answers = await asyncio.gather(*asked)
    # A token comes back every three seconds: there may be one more, if this took so long.
    assert Counter(answer.status for answer in answers)[200] in {20, 21}
    for answer in answers:
        limit, remaining, reset_s = rate(answer)
        assert (limit, remaining in range(20), reset_s in {1, 2, 3}) == (20, True, True)
    refused = [answer for answer in answers if answer.status != 200]
    assert {answer.status for answer in refused} == {429}
    assert {answer.body["error"] for answer in refused} == {"TooManyRequests"}
    assert "20 runs a minute, is spent" in refused[0].body["message"]
    assert all(answer.headers["Retry-After"] == answer.headers["RateLimit-Reset"] for answer in refused)
    assert await sample(client, "skep_workspace_runs_total", "quota_spent", "rate") == len(refused)
    assert (await quotas(client, "rate"))["usage"]["runs_left"] in {0, 1}
    # Another has nothing to do with it.
    await client.deploy("other", FUNCTIONS)
    assert not {*RATE_HEADERS} & {*(await client.run("other", "one")).headers}


async def test_a_quota_is_another_one_at_once(client: Client) -> None:
    await client.deploy("live", FUNCTIONS)
    assert "RateLimit-Limit" not in (await client.run("live", "one")).headers
    await set_quotas(client, "live", runs_per_minute=1)
    assert rate(await client.run("live", "one")) == (1, 0, 60)
    assert (await client.run("live", "one")).status == 429
    await set_quotas(client, "live", runs_per_minute=3)
    # One is spent, as before.
    assert [rate(await client.run("live", "one"))[:2] for _ in range(2)] == [(3, 1), (3, 0)]
    assert (await client.run("live", "one")).status == 429
    await client.call("DELETE", "/v2/functions/live/quotas")
    assert "RateLimit-Limit" not in (await client.run("live", "missing")).headers
    lifted = await client.run("live", "one")
    assert (lifted.result, "RateLimit-Limit" in lifted.headers) == (1, False)


async def test_every_answer_about_a_run_tells_what_is_left(client: Client) -> None:
    functions = {**FUNCTIONS, "bad": "1 / 0", "large": "return 'x' * 100_000"}
    await client.deploy("told", functions)
    await set_quotas(client, "told", runs_per_minute=1000, runs_burst=10)
    path = "/v2/functions/told/run"
    left = [
        rate(await client.run("told", "one")),
        rate(await client.run("told", "large")),
        rate(await client.run("told", "bad")),
        rate(await client.run("told", "one", unknown=1)),
        rate(await client.run("told", "missing")),
        rate(await client.call("POST", f"{path}/one", data=b"{", headers={"Content-Type": "application/json"})),
        rate(await client.call("POST", path, json={"code": "return 1", "language": "cobol"})),
    ]
    # A token comes back every 60 ms.
    assert {limit for limit, _, _ in left} == {1000}
    assert all(0 < remaining <= 10 for _, remaining, _ in left)
    assert left[0] == (1000, 9, 1)


async def test_what_is_refused_before_it_is_a_run_and_what_finds_no_room_counts_for_nothing(client: Client) -> None:
    await client.deploy("free", FUNCTIONS, pool={"concurrency": 1, "queue": 1})
    await set_quotas(client, "free", runs_per_minute=4)
    assert (await client.run("free", "missing")).status == 404
    holding = await held(client, "free")
    waiting = await queued(client, "free", "one")
    full = await client.run("free", "one")
    assert (full.status, full.body["message"]) == (429, "There was no worker for the run: queue full.")
    assert rate(full)[1] == 2
    holding.cancel()
    assert rate(await waiting)[1] == 2


async def test_a_workspace_may_narrow_its_own_quota_and_no_more(client: Client) -> None:
    await client.deploy("narrow", FUNCTIONS, limits={"runs_per_minute": 2})
    assert [rate(await client.run("narrow", "one"))[:2] for _ in range(2)] == [(2, 1), (2, 0)]
    assert (await client.run("narrow", "one")).status == 429
    await set_quotas(client, "narrow", runs_per_minute=10)
    shown = await quotas(client, "narrow")
    assert (shown["quotas"]["runs_per_minute"], shown["limits"]["runs_per_minute"]) == (10, 2)
    await client.deploy("narrow", FUNCTIONS, limits={"runs_per_minute": 1000})
    assert rate(await client.run("narrow", "one"))[0] == 10
    refused = await client.deploy("narrow", FUNCTIONS, limits={"runs_per_hour": 1})
    assert (refused.status, refused.body["details"][0]["path"]) == (400, "limits.runs_per_hour")


async def test_runs_beyond_those_that_may_be_under_way_wait_in_order(client: Client) -> None:
    await client.deploy("few", FUNCTIONS)
    await set_quotas(client, "few", runs_concurrent=2)
    holding = [await held(client, "few"), await held(client, "few")]
    waiting = [await queued(client, "few", "seen", n=n) for n in range(5)]
    shown = (await quotas(client, "few"))["usage"]
    assert (shown["runs_concurrent"], shown["runs_waiting"]) == (2, 5)
    holding[0].cancel()
    answers = await asyncio.gather(*waiting)
    assert max(answers, key=lambda answer: len(answer.result)).result == list(range(5))
    holding[1].cancel()


async def test_no_worker_is_started_for_a_run_that_could_not_begin_in_it(client: Client) -> None:
    await client.deploy("calm", FUNCTIONS, pool={"ceil": 4, "concurrency": 1})
    await set_quotas(client, "calm", runs_concurrent=2)
    holding = await held(client, "calm")
    # Each of them is a backlog to the next.
    answers = await asyncio.gather(*(client.run("calm", "brief", n=n) for n in range(8)))
    assert [answer.result for answer in answers] == list(range(8))
    await workers(client, "calm", 2)
    holding.cancel()


async def test_there_are_never_more_runs_under_way_than_may_be(client: Client) -> None:
    await client.deploy("most", {"count": COUNT})
    await set_quotas(client, "most", runs_concurrent=3)
    answers = await asyncio.gather(*(client.run("most", "count") for _ in range(2 * AT_ONCE)))
    assert max(answer.result for answer in answers) == 3


async def test_a_limit_on_runs_under_way_is_another_one_at_once_both_ways(client: Client) -> None:
    await client.deploy("ways", FUNCTIONS)
    await set_quotas(client, "ways", runs_concurrent=1)
    first = await held(client, "ways")
    waiting = [await queued(client, "ways", "hold") for _ in range(3)]
    await set_quotas(client, "ways", runs_concurrent=3)
    await until(client, "skep_workspace_waiting", "ways", value=1)
    await set_quotas(client, "ways", runs_concurrent=1)
    last = await queued(client, "ways", "one")
    for task in (first, *waiting[:2]):
        task.cancel()
    await until(client, "skep_workspace_waiting", "ways", value=1)
    await client.call("DELETE", "/v2/functions/ways/quotas")
    assert (await last).result == 1
    waiting[2].cancel()


async def test_a_workspace_may_limit_its_own_runs_under_way(client: Client) -> None:
    await client.deploy("own", FUNCTIONS, limits={"runs_concurrent": 1})
    holding = await held(client, "own")
    waiting = await queued(client, "own", "one")
    # The next version does not, and has a worker of its own.
    await client.deploy("own", FUNCTIONS)
    assert (await waiting).result == 1
    holding.cancel()


async def test_a_workspace_that_is_too_large_may_stay_and_shrink_but_not_grow(client: Client) -> None:
    ones = {f"f{number}": "return 1" for number in range(7)}
    path = "/v2/functions/large"
    for dry_run in ("false", "true"):
        refused = await client.call("POST", f"{path}?dryRun={dry_run}", json=objects(ones))
        assert refused.status == 400
        assert refused.body["details"] == [{"path": "functions", "message": "has 7 functions; the quota is 6"}]
    await set_quotas(client, "large", functions_max=7)
    assert (await client.deploy("large", ones)).status == 200
    shown = await set_quotas(client, "large", functions_max=2, code_max_bytes=20)
    assert (shown["usage"]["functions"], shown["usage"]["code_bytes"]) == (7, 56)
    assert (await client.run("large", "f0")).result == 1
    grown = await client.call("PUT", f"{path}/functions/f7", json={"code": "return 1"})
    assert [problem["message"] for problem in grown.body["details"]] == [
        "has 8 functions; the quota is 2",
        "has 64 bytes of code; the quota is 20",
    ]
    longer = await client.call("PATCH", path, json={"functions": {"f0": {"code": "return 10"}}})
    assert [problem["message"] for problem in longer.body["details"]] == ["has 57 bytes of code; the quota is 20"]
    assert (await client.call("PATCH", path, json={"functions": {"f0": {"code": "return 2"}}})).status == 200
    assert (await client.call("DELETE", f"{path}/functions/f6")).status == 204
    assert (await client.call("DELETE", path)).status == 204


async def test_no_more_workspaces_are_created_than_the_operator_allows(skep: Skep, client: Client) -> None:
    there = len((await client.call("GET", "/v2/functions?limit=500")).body["items"])
    asked = [client.deploy(f"new{number}", {"one": "return 1"}) for number in range(AT_ONCE)]
    answers = await asyncio.gather(*asked)
    assert Counter(answer.status for answer in answers) == {200: 20 - there, 403: AT_ONCE - 20 + there}
    refused = next(answer for answer in answers if answer.status == 403)
    assert refused.body["error"] == "ForbiddenError"
    assert "There are 20 workspaces" in refused.body["message"]
    created = [f"new{number}" for number, answer in enumerate(answers) if answer.status == 200]
    assert (await client.deploy(created[0], {"two": "return 2"})).status == 200
    await client.call("DELETE", f"/v2/functions/{created[0]}")
    assert (await client.deploy("instead", {"one": "return 1"})).status == 200
    for name in (*created[1:], "instead"):
        await client.call("DELETE", f"/v2/functions/{name}")


async def test_an_override_is_that_of_every_service_on_the_database_and_a_bucket_of_each(
    two_skeps: tuple[Skep, Skep],
) -> None:
    async with client_of(two_skeps[0]) as one, client_of(two_skeps[1]) as other:
        await one.deploy("both", FUNCTIONS)
        await set_quotas(one, "both", runs_per_minute=2)
        assert (await quotas(other, "both"))["overridden"] == ["runs_per_minute"]
        for each in (one, other):
            assert [(await each.run("both", "one")).status for _ in range(3)] == [200, 200, 429]
        await set_quotas(one, "both", runs_per_minute=3)
        assert rate(await other.run("both", "one"))[:2] == (3, 0)
        await other.call("DELETE", "/v2/functions/both/quotas")
        assert "RateLimit-Limit" not in (await one.run("both", "one")).headers
