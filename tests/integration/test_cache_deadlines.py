"""Deadlines of runs that do nothing but use a shared cache: on time, and the worker lives on."""

import asyncio
import time
from typing import Any

from tests.integration.conftest import SHARED
from tests.skep import Client

TIMEOUT_MS = 120
LATE_S = 0.25

LOOPS = {
    "get": "while True: cache.get('a')",
    "increment": "while True: cache.increment('a')",
    "copy": "cache.update({str(n): n for n in range(5000)})\nwhile True: cache.copy()",
    "large": "value = 'x' * 4_000_000\nwhile True: cache['a'] = value",
    "in a handler of everything": """
while True:
    try:
        while True: cache['a'] = 1
    except BaseException:
        pass
""",
    "in a finally": "try:\n    1 / 0\nfinally:\n    while True: cache.get('a')",
    "in C": "import functools, itertools\nfunctools.reduce(lambda a, b: cache.get('a'), itertools.count())",
    "as a key function": "import itertools\nany(map(cache.get, itertools.count()))",
    "in an endless update": """
while True:
    try:
        cache.update(('a', 1) for _ in iter(int, 1))
    except ValueError:
        pass
""",
    "in tasks": """
import asyncio
async def spin():
    while True:
        cache.increment('a')
        await asyncio.sleep(0)
await asyncio.gather(spin(), spin(), spin())
""",
}


async def test_a_loop_of_operations_times_out_on_time_and_alone(client: Client, shared: str) -> None:
    loops = {f"f{number}": {"code": code, "timeout": TIMEOUT_MS} for number, code in enumerate(LOOPS.values())}
    wait = "import asyncio\nwhile not cache.get('over'):\n    await asyncio.sleep(0.01)\nreturn 'slow'"
    functions: dict[str, Any] = {
        **loops,
        "slow": wait,
        "over": "cache['over'] = True",
        "increment": "return cache.increment('runs')",
    }
    assert (await client.deploy(shared, functions, pool=SHARED)).status == 200
    sibling = asyncio.create_task(client.run(shared, "slow"))
    for number, name in enumerate(LOOPS):
        started = time.monotonic()
        answer = await client.run(shared, f"f{number}")
        took_s = time.monotonic() - started
        assert (answer.status, answer.body["error"]) == (504, "FunctionTimeout"), (name, answer.body)
        assert TIMEOUT_MS / 1000 <= took_s < TIMEOUT_MS / 1000 + LATE_S, name
        assert (await client.run(shared, "increment")).result == number + 1, name
    # The same worker all the time, or this would have been lost with the first.
    assert not sibling.done()
    await client.run(shared, "over")
    assert (await sibling).result == "slow"


async def test_what_is_cleaned_up_at_a_deadline_is_written(client: Client, shared: str) -> None:
    code = """
cache['busy'] = True
try:
    while True: cache.increment('n')
finally:
    cache['busy'] = False
    cache['cleaned'] = cache.get('n') > 0
"""
    await client.deploy(shared, {"f": {"code": code, "timeout": 200}, "kept": "return cache.copy()"}, pool=SHARED)
    assert (await client.run(shared, "f")).status == 504
    found = (await client.run(shared, "kept")).result
    assert (found["busy"], found["cleaned"]) == (False, True)
