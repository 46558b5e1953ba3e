"""Deadlines: the caller is answered in time whatever the code does, by the mildest means that works."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import pytest

from tests.skep import Client

TIMEOUT_MS = 150
LATE_S = 0.25
"""How long after the deadline an answer may come."""

SIDE_FUNCTIONS: dict[str, str | Mapping[str, Any]] = {
    "remember": "cache['kept'] = 1",
    "recall": "return cache.get('kept')",
    "slow": "import asyncio\nawait cache.setdefault('over', asyncio.Event()).wait()\nreturn 'slow'",
    "over": "import asyncio\ncache.setdefault('over', asyncio.Event()).set()",
    "spin": "while True: pass",
}

PYTHON_LOOPS = {
    "bare": "while True: pass",
    "in a handler of everything": """
while True:
    try:
        while True: pass
    except BaseException:
        pass
""",
    "in a bare except": "while True:\n    try:\n        while True: pass\n    except:\n        pass",
    "in a finally": "try:\n    1 / 0\nfinally:\n    while True: pass",
    "in finally after finally": """
try:
    while True: pass
finally:
    try:
        while True: pass
    finally:
        while True: pass
""",
    "finally that continues": "while True:\n    try:\n        while True: pass\n    finally:\n        continue",
    "in what is let go at the end": """
import asyncio
def g():
    try:
        yield
    finally:
        while True: pass
waits = g()
next(waits)
await asyncio.sleep(0)
return [waits]
""",
    "in a generator": "def g():\n    while True: yield 1\nfor x in g(): pass",
    "generator that swallows": """
def g():
    while True:
        try:
            yield 1
        except BaseException:
            pass
for x in g(): pass
""",
    "in a comprehension": "def g():\n    while True: yield 1\nreturn [None for x in g() if x == 2]",
    "in a sibling": "await spin()",
    "suppressed": """
import contextlib
while True:
    with contextlib.suppress(BaseException):
        while True: pass
""",
    "own context manager": """
class Swallow:
    def __enter__(self): return self
    def __exit__(self, *error): return True
while True:
    with Swallow():
        while True: pass
""",
    "recursion": "def f(): return f()\nwhile True:\n    try:\n        f()\n    except RecursionError:\n        pass",
    "in a called method": """
class A:
    def __eq__(self, other):
        while True: pass
return A() == 1
""",
    "in a regular expression": "import re\nre.match('(a+)+$', 'a' * 40 + 'b')",
    "in a power": "return 7 ** 7 ** 9 % 10",
    "in a task": """
import asyncio
async def hold():
    while True: pass
await asyncio.create_task(hold())
""",
    "in gathered tasks": """
import asyncio
async def hold():
    while True:
        try:
            await asyncio.sleep(0)
        except BaseException:
            pass
await asyncio.gather(*(hold() for _ in range(20)), return_exceptions=True)
while True: pass
""",
    "sleeping the process": "import time\ntime.sleep(60)",
}

WAITS = {
    "for ever": "import asyncio\nawait asyncio.Event().wait()",
    "again and again": """
import asyncio
while True:
    try:
        await asyncio.sleep(30)
    except BaseException:
        pass
""",
    "in a finally": "import asyncio\ntry:\n    await asyncio.sleep(30)\nfinally:\n    await asyncio.sleep(30)",
    "on a task that will not go": """
import asyncio
async def stay():
    while True:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cache['stayed'] = True
await asyncio.gather(stay(), stay())
""",
    "in an async generator": """
import asyncio
async def g():
    try:
        while True:
            yield 1
            await asyncio.sleep(30)
    finally:
        await asyncio.sleep(30)
async for x in g(): pass
""",
}


@pytest.mark.parametrize("code", [*PYTHON_LOOPS.values(), *WAITS.values()], ids=[*PYTHON_LOOPS, *WAITS])
async def test_python_that_does_not_end_times_out_alone(client: Client, workspace: str, code: str) -> None:
    await client.deploy(workspace, {**SIDE_FUNCTIONS, "f": {"code": "print('so far')\n" + code, "timeout": TIMEOUT_MS}})
    await client.run(workspace, "remember")
    sibling = asyncio.create_task(client.run(workspace, "slow"))
    await asyncio.sleep(0)
    started = time.monotonic()
    answer = await client.run(workspace, "f")
    took_s = time.monotonic() - started
    assert (answer.status, answer.body["error"]) == (504, "FunctionTimeout")
    assert TIMEOUT_MS / 1000 <= took_s < TIMEOUT_MS / 1000 + LATE_S
    assert answer.messages == ["so far"]
    assert answer.body["duration"] >= TIMEOUT_MS
    assert (await client.run(workspace, "recall")).result == 1
    assert not sibling.done()
    await client.run(workspace, "over")
    assert (await sibling).result == "slow"


async def test_c_code_that_does_not_end_costs_the_worker_and_says_so(client: Client, workspace: str) -> None:
    code = "import itertools\nprint('first')\nprint('second')\nsum(itertools.repeat(1))"
    await client.deploy(workspace, {**SIDE_FUNCTIONS, "f": {"code": code, "timeout": TIMEOUT_MS}})
    sibling = asyncio.create_task(client.run(workspace, "slow"))
    started = time.monotonic()
    answer = await client.run(workspace, "f")
    took_s = time.monotonic() - started
    assert (answer.status, answer.body["error"]) == (504, "FunctionTimeout")
    assert TIMEOUT_MS / 1000 <= took_s < TIMEOUT_MS / 1000 + LATE_S
    assert answer.messages == ["first", "second"]
    following = await client.run(workspace, "recall")
    assert following.result is None
    lost = await sibling
    assert (lost.status, lost.body["error"]) == (502, "WorkerLost")
    assert "deadline" in lost.body["details"]["reason"]


async def test_a_run_that_waits_too_long_is_gone(client: Client, workspace: str) -> None:
    code = """
import asyncio
cache['tasks'] = cache.get('tasks', 0) + 1
try:
    await asyncio.Event().wait()
finally:
    cache['tasks'] -= 1
"""
    await client.deploy(workspace, {"f": {"code": code, "timeout": 100}, "left": "return cache['tasks']"})
    assert [(await client.run(workspace, "f")).status for _ in range(3)] == [504] * 3
    assert (await client.run(workspace, "left")).result == 0


async def test_a_busy_sibling_delays_nobodys_deadline(client: Client, workspace: str) -> None:
    busy = "import time\nend = time.monotonic() + 0.6\nwhile time.monotonic() < end: pass\nreturn 'done'"
    wait = {"code": "import asyncio\nawait asyncio.sleep(30)", "timeout": 150}
    await client.deploy(workspace, {"busy": busy, "wait": wait})
    waiting = asyncio.create_task(client.run(workspace, "wait"))
    working = asyncio.create_task(client.run(workspace, "busy"))
    started = time.monotonic()
    assert (await waiting).status == 504
    assert time.monotonic() - started < 0.15 + LATE_S
    assert (await working).result == "done"


async def test_the_operators_limit_caps_a_functions_own(client: Client, workspace: str) -> None:
    await client.deploy(workspace, {"f": {"code": "return context.remaining_ms()", "timeout": 10**9}})
    assert (await client.run(workspace, "f")).result <= 20_000


async def test_a_caller_that_leaves_cancels_its_run(client: Client, workspace: str) -> None:
    code = """
import asyncio
cache['state'] = 'running'
try:
    await asyncio.sleep(15)
finally:
    cache['state'] = 'cancelled'
"""
    await client.deploy(workspace, {"f": code, "state": "return cache.get('state')"})
    leaving = asyncio.create_task(client.run(workspace, "f"))
    await _until(client, workspace, "running")
    leaving.cancel()
    await _until(client, workspace, "cancelled")


async def _until(client: Client, workspace: str, wanted: str) -> None:
    async with asyncio.timeout(5):
        while (await client.run(workspace, "state")).result != wanted:
            pass
