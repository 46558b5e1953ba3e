"""Code that fights the worker: its caller is answered in time, and the worker, its cache and its other runs live on."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

from tests.skep import Client

TIMEOUT_MS = 2000
SHORT_TIMEOUT_MS = 200
"""Of what may run into it; the others must end by themselves, however busy the machine is."""
LATE_S = 0.25

FIGHTS: dict[str, tuple[str, set[int]]] = {
    "an exception whose str raises": (
        "class E(Exception):\n    def __str__(self): raise BaseException\nraise E()",
        {500},
    ),
    "the same where it could wait": (
        """
import asyncio
await asyncio.sleep(0)
class E(Exception):
    def __str__(self): raise SystemExit
raise E()
""",
        {500},
    ),
    "an exception whose str loops": (
        "class E(Exception):\n    def __str__(self):\n        while True: pass\nraise E()",
        {504},
    ),
    "a syntax error with a property": (
        "class E(SyntaxError):\n    msg = property(lambda s: 1/0)\nraise E()",
        {400, 500},
    ),
    "exit": ("raise SystemExit", {500}),
    "exit from a task that is cancelled": (
        """
import asyncio
async def f():
    try:
        await asyncio.sleep(10)
    except asyncio.CancelledError:
        raise SystemExit
t = asyncio.create_task(f())
await asyncio.sleep(0)
t.cancel()
await asyncio.sleep(0)
return 1
""",
        {200, 500},
    ),
    "a task that starts itself again": (
        """
import asyncio
async def f():
    try:
        await asyncio.sleep(3600)
    finally:
        asyncio.create_task(f())
asyncio.create_task(f())
await asyncio.sleep(0)
return 1
""",
        {200},
    ),
    "a task that will not go": (
        """
import asyncio
async def f():
    while True:
        try:
            await asyncio.sleep(3600)
        finally:
            continue
asyncio.create_task(f())
await asyncio.sleep(0)
return 1
""",
        {200},
    ),
    "what only looks like a coroutine": (
        """
import asyncio
class A:
    def send(self, value): return None
    def throw(self, *error): return None
    def close(self): pass
    def __await__(self): return iter([])
asyncio.create_task(A())
return 1
""",
        {500},
    ),
    "the recursion limit when the alarm rings": (
        """
def f(d):
    try:
        return f(d + 1)
    except RecursionError:
        pass
    try:
        while True: pass
    except RecursionError:
        return "alarm"
return f(0)
""",
        {200, 504},
    ),
    "a result whose methods raise": (
        """
class D(dict):
    def items(self): raise SystemExit
    def __iter__(self): raise BaseException
return D(a=1)
""",
        {200, 500},
    ),
    "a long result": ("return [{1: 2}] * 400_000", {200, 500, 504}),
    "a log field with a name of its own kind": (
        """
class S(str):
    def __hash__(self): return 0
    def __eq__(self, other): return self is other
log.info("x", **{S("level"): 5, S("time"): 6})
return 1
""",
        {200, 500},
    ),
    "a set that changes what is encoded": (
        """
class X(int):
    def __lt__(self, other):
        out.clear()
        return False
out = [{X(1), X(2)}] + ["a" * 50] * 5000
return out
""",
        {200, 500},
    ),
    "a time zone that lies": (
        """
import datetime
class T(datetime.tzinfo):
    def utcoffset(self, when): return "x" * 8
    def dst(self, when): return "y" * 8
return datetime.datetime(2020, 1, 1, tzinfo=T())
""",
        {400, 500},
    ),
    "a field that is not there": (
        "import dataclasses\n@dataclasses.dataclass(slots=True)\nclass A:\n    x: int\na = A(1)\ndel a.x\nreturn a",
        {200, 500},
    ),
    "more text than memory": ("return 'x' * 200_000_000", {500}),
    "a list that doubles": ("a = [1]\nfor _ in range(30): a = [a, a]\nreturn a", {500, 504}),
    "memory until there is none": ("x = []\nwhile True: x.append('a' * 1_000_000)", {500}),
}


async def test_every_fight_is_over_in_time_and_its_worker_lives(client: Client) -> None:
    """One fight after the other. Each worker is watched while the next ones fight, in workers of their own."""
    failures: dict[str, BaseException] = {}

    async def noting(name: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - all fights are told of, not only the first
            failures[name] = error

    async with asyncio.TaskGroup() as watching:
        for number, (name, (code, statuses)) in enumerate(FIGHTS.items()):
            workspace = f"fight-{number}"
            await noting(name, _fight(client, workspace, code, statuses))
            watching.create_task(noting(name, _live_on(client, workspace)))
    assert not failures


async def _fight(client: Client, workspace: str, code: str, statuses: set[int]) -> None:
    side = {"keep": "cache['kept'] = 1", "kept": "return cache.get('kept')"}
    await client.deploy(workspace, side)
    timeout_ms = SHORT_TIMEOUT_MS if 504 in statuses else TIMEOUT_MS
    deployed = await client.deploy(workspace, {**side, "f": {"code": code, "timeout": timeout_ms}})
    await client.run(workspace, "keep")
    if deployed.status == 400:
        # Refused before it could fight.
        assert 400 in statuses
        return
    for _ in range(2):
        started = time.monotonic()
        answer = await client.run(workspace, "f")
        assert answer.status in statuses, answer.body
        assert time.monotonic() - started < timeout_ms / 1000 + LATE_S


async def _live_on(client: Client, workspace: str) -> None:
    """For longer than what is left of a run may clean up, and than the service would wait before it kills."""
    end = time.monotonic() + 1.3
    while time.monotonic() < end:
        assert (await client.run(workspace, "kept")).result == 1
        await asyncio.sleep(0.02)  # between two looks, not for something to happen: the next fight has the processor


async def test_a_task_of_one_run_ends_with_it_and_harms_no_other(client: Client, workspace: str) -> None:
    start = "import asyncio\ncache['t'] = asyncio.create_task(asyncio.sleep(100))\nawait asyncio.sleep(0)\nreturn 1"
    await client.deploy(workspace, {"start": start, "other": "await cache['t']", "kept": "return 't' in cache"})
    assert (await client.run(workspace, "start")).result == 1
    other = await client.run(workspace, "other")
    assert (other.status, other.body["error"]) == (500, "FunctionError")
    assert (await client.run(workspace, "kept")).result is True


async def test_a_traceback_shows_no_other_callers_inline_code(client: Client, workspace: str) -> None:
    slow = "import asyncio\nawait asyncio.sleep(0.2)\nraise ValueError('mine')"
    failing = asyncio.create_task(client.inline(workspace, slow))
    await client.inline(workspace, "x = 1\nsecret = 'of somebody else'\nreturn x")
    answer = await failing
    assert answer.body["details"]["line"] == 3
    assert "secret" not in answer.body["details"]["traceback"]


async def test_a_refused_result_shows_nothing_of_the_inside(client: Client, workspace: str) -> None:
    for code in ("return object()", "import asyncio\nawait asyncio.sleep(0)\nreturn object()"):
        await client.deploy(workspace, {"f": code})
        details: dict[str, Any] = (await client.run(workspace, "f")).body["details"]
        assert "0x" not in str(details)
        assert "StopIteration" not in str(details)


async def test_what_was_begun_to_be_printed_is_in_the_logs(client: Client, workspace: str) -> None:
    code = "print('whole')\nprint('half', end='')\nwhile True: pass"
    await client.deploy(workspace, {"f": {"code": code, "timeout": 200}})
    assert (await client.run(workspace, "f")).messages == ["whole", "half"]


async def test_settings_of_decimal_stay_with_their_run(client: Client, workspace: str) -> None:
    functions = {
        "change": "import decimal\ndecimal.getcontext().prec = 3\nreturn str(decimal.Decimal(1) / 3)",
        "read": "import decimal\nreturn str(decimal.Decimal(1) / 3)",
    }
    await client.deploy(workspace, functions)
    assert (await client.run(workspace, "change")).result == "0.333"
    assert len((await client.run(workspace, "read")).result) > 20


async def test_numbers_arrive_as_they_were_sent(client: Client, workspace: str) -> None:
    number = 12345678901234567890123
    await client.deploy(workspace, {"f": {"code": "return [n, n + 1]", "parameters": {"n": {}}}})
    assert (await client.run(workspace, "f", n=number)).result == [number, number + 1]


async def test_memory_that_was_freed_in_the_middle_can_be_used_for_a_result(client: Client, workspace: str) -> None:
    """The heap cannot shrink below what stays, so that what is free in it is no longer there to be mapped."""
    code = """
held = []
try:
    while True:
        held.append(bytearray(100_000))
except MemoryError:
    cache["last"] = held[-5:]
held.clear()
"""
    assert (await client.inline(workspace, code)).status == 200
    assert (await client.inline(workspace, "return 'x' * 3_000_000")).result == "x" * 3_000_000
