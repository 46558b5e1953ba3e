"""The cache of a workspace, in real workers: kept by the only one, or by the service where there may be several."""

import asyncio
import contextlib
import os
import signal
from typing import Any

import pytest

from tests.integration.conftest import SHARED
from tests.skep import Client, Skep
from tests.unit.bodies import cases

CASES = cases("cache")


@pytest.mark.parametrize("ceil", [1, 2])
async def test_every_operation_gives_the_same_answer_with_one_worker_and_with_several(
    client: Client, workspace: str, ceil: int
) -> None:
    await client.deploy(workspace, {"clear": "cache.clear()"}, pool={"ceil": ceil})
    for name, (code, expected) in CASES.items():
        await client.run(workspace, "clear")
        answer = await client.inline(workspace, code)
        assert answer.status == 200, (name, answer.body)
        assert answer.result == _as_json(expected), name


def _as_json(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_as_json(item) for item in value]
    return value


async def test_what_has_no_written_form_is_an_error_that_says_where(client: Client, shared: str) -> None:
    answer = await client.inline(shared, "cache['a'] = {'b': [1, {2}]}")
    assert answer.status == 500
    assert answer.body["details"]["type"] == "TypeError"
    assert "cache['a']['b'][1] cannot be kept" in answer.body["message"]
    assert (await client.run(shared, "kept")).result == {}


async def test_a_whole_cache_is_a_result_and_a_field_of_a_log_entry(client: Client, shared: str) -> None:
    answer = await client.inline(shared, "cache.update(a=[1], b=None)\nlog.info('kept', cache=cache)\nreturn [cache]")
    assert answer.result == [{"a": [1], "b": None}]
    assert answer.body["logs"][0]["cache"] == {"a": [1], "b": None}


async def test_a_full_cache_says_so_and_takes_more_when_there_is_room(client: Client, shared: str) -> None:
    code = """
written = 0
try:
    while True:
        cache[written] = "x" * 1_000_000
        written += 1
except cache.Full as error:
    message = str(error)
assert len(cache) == written
keys = list(cache)
del cache[0]
cache["more"] = "y" * 1_000_000
return [written, message, keys == list(range(written)), len(cache.copy())]
"""
    written, message, is_whole, count = (await client.inline(shared, code)).result
    assert (written, is_whole, count) == (8, True, 8)
    assert "8388608" in message
    assert (await client.inline(shared, "cache['alone'] = 'x' * 9_000_000")).status == 500
    assert (await client.inline(shared, "return 'alone' in cache")).result is False


async def test_large_values_and_large_caches_go_through_whole(client: Client, shared: str) -> None:
    code = """
cache["large"] = "ä" * 3_900_000
assert cache["large"] == "ä" * 3_900_000
assert cache.pop("large") == "ä" * 3_900_000
for start in range(0, 24_000, 8_000):
    cache.update({str(number): number for number in range(start, start + 8_000)})
assert cache.copy() == {str(number): number for number in range(24_000)}
assert len(cache.keys()) == len(cache) == 24_000
return cache.increment("23999")
"""
    assert (await client.inline(shared, code)).result == 24_000


async def test_a_worker_that_dies_takes_nothing_along(client: Client, skep: Skep, workspace: str) -> None:
    others = set(skep.worker_pids())
    await client.deploy(workspace, {"kept": "return cache.copy()"}, pool=SHARED)
    assert (await client.inline(workspace, "cache['a'] = [1]\nreturn cache.increment('n')")).result == 1
    waiting = asyncio.create_task(client.inline(workspace, "import asyncio\ncache['b'] = 2\nawait asyncio.sleep(15)"))
    async with asyncio.timeout(5):
        while "b" not in (await client.run(workspace, "kept")).result:
            pass
    for pid in set(skep.worker_pids()) - others:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert (await waiting).status == 502
    assert (await client.run(workspace, "kept")).result == {"a": [1], "n": 1, "b": 2}


async def test_two_workers_have_one_cache(client: Client, shared: str) -> None:
    """A deploy leaves the old one where it is until its last run has ended."""
    wait = """
import asyncio
cache["waits"] = True
mine = 0
while not cache.get("go"):
    cache.increment("n")
    mine += 1
    await asyncio.sleep(0)
return mine
"""
    await client.deploy(shared, {"wait": wait, "kept": "return cache.copy()"}, pool=SHARED)
    waiting = asyncio.create_task(client.run(shared, "wait"))
    async with asyncio.timeout(5):
        while "waits" not in (await client.run(shared, "kept")).result:
            pass
    count = "for _ in range(500):\n    cache.increment('n')\ncache['go'] = True"
    await client.deploy(shared, {"count": count, "kept": "return cache.copy()"}, pool=SHARED)
    assert (await client.run(shared, "count")).status == 200
    mine = (await waiting).result
    assert mine > 0
    assert (await client.run(shared, "kept")).result["n"] == 500 + mine


async def test_several_workers_lose_no_update_even_if_some_of_them_die(
    client: Client, skep: Skep, workspace: str
) -> None:
    count = """
import asyncio
for _ in range(25):
    cache.increment(context.run_id)
    cache.increment("n")
    await asyncio.sleep(0)
return context.run_id
"""
    others = set(skep.worker_pids())
    pool = {"floor": 3, "ceil": 3, "cruise": 3, "concurrency": 4}
    await client.deploy(workspace, {"count": count, "kept": "return cache.copy()"}, pool=pool)
    runs = [asyncio.create_task(client.run(workspace, "count")) for _ in range(60)]
    async with asyncio.timeout(10):
        while (await client.inline(workspace, "return len(cache)")).result < 10:
            pass
    for pid in set(skep.worker_pids()) - others:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            break
    answers = await asyncio.gather(*runs)
    assert {answer.status for answer in answers} <= {200, 502}
    lost = sum(1 for answer in answers if answer.status == 502)
    # That a worker was killed may not have been noticed yet.
    while (answer := await client.run(workspace, "kept")).status == 502:
        pass
    kept = answer.result
    whole = [answer.result for answer in answers if answer.status == 200]
    assert [kept[run] for run in whole] == [25] * len(whole)
    total = kept.pop("n")
    assert total <= sum(kept.values()) <= total + lost


async def test_with_a_single_worker_it_is_a_dict_again(client: Client, shared: str) -> None:
    await client.inline(shared, "cache['a'] = 1")
    for ceil in (1, 2):
        await client.deploy(shared, {"get": "return cache.get('a')"}, pool={"ceil": ceil})
        assert (await client.run(shared, "get")).result is None


async def test_a_deploy_takes_nothing_along_and_a_deleted_workspace_everything(client: Client, shared: str) -> None:
    await client.inline(shared, "cache['a'] = 1")
    await client.deploy(shared, {"get": "return cache.get('a')"}, pool=SHARED)
    assert (await client.run(shared, "get")).result == 1
    await client.call("DELETE", f"/v2/functions/{shared}")
    await client.deploy(shared, {"get": "return cache.get('a')"}, pool=SHARED)
    assert (await client.run(shared, "get")).result is None


async def test_many_runs_at_once_lose_no_update_and_no_answer(client: Client, shared: str) -> None:
    code = """
import asyncio
for number in range(20):
    cache.increment("n")
    cache[("run", mine, number)] = {"of": mine, "number": number}
    print(number)
    if number % 3 == 0:
        await asyncio.sleep(0)
    assert cache.pop(("run", mine, number)) == {"of": mine, "number": number}
return mine
"""
    short = "return cache.increment('n') > 0"
    parameters = {"mine": {"type": "integer"}}
    functions: dict[str, Any] = {
        "f": {"code": code, "parameters": parameters},
        "short": short,
        "n": "return cache['n']",
    }
    await client.deploy(shared, functions, pool=SHARED)
    runs = [client.run(shared, "f", mine=number) for number in range(60)]
    shorts = [client.run(shared, "short") for _ in range(60)]
    answers = await asyncio.gather(*(one for pair in zip(runs, shorts, strict=True) for one in pair))
    assert [answer.result for answer in answers[::2]] == list(range(60))
    assert all(answer.messages == [str(number) for number in range(20)] for answer in answers[::2])
    assert all(answer.result is True for answer in answers[1::2])
    assert (await client.run(shared, "n")).result == 60 * 20 + 60


async def test_without_memory_the_run_ends_and_the_cache_goes_on(client: Client, shared: str) -> None:
    code = """
cache["large"] = "x" * 8_000_000
held = []
try:
    while True:
        held.append("x" * 1_000_000)
except MemoryError:
    pass
seen = []
for _ in range(30):
    try:
        cache.increment("n")
        cache.get("large")
    except MemoryError:
        seen.append(1)
        held.pop()
held.clear()
return [len(seen) > 0, cache["large"] == "x" * 8_000_000, cache["n"]]
"""
    has_failed, is_whole, count = (await client.inline(shared, code)).result
    assert (has_failed, is_whole) == (True, True)
    assert count <= 30
