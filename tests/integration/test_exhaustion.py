"""Nothing left to take: descriptors, processes, a process to fork from. Whoever needs it is told, all else works, and
when there is some again nobody has to start anything anew.
"""

import asyncio
import contextlib
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from tests.integration.faults import assert_unavailable, counts, descriptors, limited, until, zygotes
from tests.skep import COMMAND, Client, Skep, client_of, running_skep, state

ONE = {"one": "return 1"}
WITHOUT_NAMESPACES = (sys.executable, "-m", "tests.without", "unshare=EPERM", "--", *COMMAND)
FAILURES = "skep_fork_failures_total"
UNAVAILABLE = 'skep_runs_total{outcome="unavailable"}'


async def _assert_only_new_workers_fail(client: Client, *words: str, forks: int = 3) -> None:
    """What needs a process is told so, and counted; what has one goes on. `forks`: those that are tried."""
    before = await counts(client)
    assert_unavailable(await client.inline("cold", "return 1"), *words)
    assert_unavailable(await client.deploy("new", ONE), *words)
    assert_unavailable(await client.deploy("w", {"one": "return 2"}), *words)
    assert (await client.run("w", "one")).result == 1
    after = await counts(client)
    assert after[UNAVAILABLE] == before[UNAVAILABLE] + 1
    assert after[FAILURES] >= before[FAILURES] + forks


async def _assert_all_is_well(client: Client) -> None:
    assert (await client.inline("cold", "return 1")).result == 1
    assert (await client.deploy("new", ONE)).status == 200
    assert (await client.run("new", "one")).result == 1
    assert (await client.run("w", "one")).result == 1


@contextmanager
def _idle_callers(skep: Skep, count: int) -> Iterator[None]:
    host, port = skep.url.removeprefix("http://").split(":")
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(socket.create_connection((host, int(port)), timeout=5))
        yield


async def test_callers_that_take_every_descriptor_keep_others_from_new_workers_and_from_nothing_else(
    tmp_path: Path,
) -> None:
    command = ("prlimit", "--nofile=100:1000", *COMMAND)
    with running_skep(tmp_path, command=command) as skep:
        (too_few,) = [line for line in skep.log_lines() if line["event"] == "few descriptors"]
        assert (too_few["level"], too_few["limit"]) == ("warning", 1000)
        assert resource.prlimit(skep.pid, resource.RLIMIT_NOFILE) == (1000, 1000)
        async with client_of(skep) as client:
            await client.deploy("w", ONE)
            used = descriptors(skep.pid)
            # A worker takes some for a moment, so that each count of those that are left is a way of its own to fail.
            for spare in range(5):
                with limited(skep.pid, resource.RLIMIT_NOFILE, used + spare):
                    answers = [
                        await client.inline(f"cold-{spare}", "return 1"),
                        await client.deploy(f"new-{spare}", ONE),
                        await client.call("GET", "/v2/functions"),
                    ]
                    for answer in answers:
                        if answer.status != 200:
                            assert_unavailable(answer)
                    assert (await client.run("w", "one")).result == 1
            with limited(skep.pid, resource.RLIMIT_NOFILE, used + 20), _idle_callers(skep, 60):
                await until(lambda: descriptors(skep.pid) >= used + 20)
                # A deploy has no descriptor even for its lock.
                await _assert_only_new_workers_fail(client, "Too many open files", forks=1)
            await until(lambda: descriptors(skep.pid) < used + 20)
            await _assert_all_is_well(client)
        assert not [line for line in skep.log_lines() if line["level"] == "error"]


async def test_a_zygote_without_descriptors_or_processes_refuses_and_lives(tmp_path: Path) -> None:
    with running_skep(tmp_path) as skep:
        async with client_of(skep) as client:
            await client.deploy("w", ONE)
            zygote = skep.zygote_pid()
            used = descriptors(zygote)
            for most in (used, used - 2):
                with limited(zygote, resource.RLIMIT_NOFILE, most):
                    await _assert_only_new_workers_fail(client, "No worker can be started")
            with _no_more_processes(skep):
                await _assert_only_new_workers_fail(client, "there may be no more processes here")
            await _assert_all_is_well(client)
            assert skep.zygote_pid() == zygote


@contextmanager
def _no_more_processes(skep: Skep) -> Iterator[None]:
    """By the control group that the service has made, or by the limit that ordinary users have."""
    groups = list(Path("/sys/fs/cgroup").glob(f"**/skep-{skep.pid}/workers/pids.max"))
    if not groups:
        with limited(skep.zygote_pid(), resource.RLIMIT_NPROC, 1):
            yield
        return
    before = groups[0].read_text()
    groups[0].write_text(groups[0].with_name("pids.current").read_text())
    try:
        yield
    finally:
        groups[0].write_text(before)


async def test_a_lost_zygote_is_replaced_before_anybody_asks_and_later_and_later_if_it_keeps_dying(
    tmp_path: Path,
) -> None:
    with running_skep(tmp_path) as skep:
        async with client_of(skep) as client:
            await client.deploy("w", ONE)
            workers = set(skep.worker_pids())
            first = skep.zygote_pid()
            os.kill(first, signal.SIGKILL)
            await until(partial(_has_started, skep, 2))
            assert zygotes(skep) != [first]

            cold = [asyncio.create_task(client.inline(f"cold-{number}", "return 1")) for number in range(20)]
            await asyncio.wait(cold, return_when=asyncio.FIRST_COMPLETED)
            os.kill(skep.zygote_pid(), signal.SIGKILL)
            assert {(await answer).status for answer in cold} == {200}

            stop = asyncio.Event()
            killing = asyncio.create_task(_kill_every_zygote(skep, stop))
            async with asyncio.timeout(10):
                while "is tried again in 1 s" not in (await client.inline("cold", "return 1")).body.get("message", ""):
                    pass
            assert_unavailable(await client.deploy("new", ONE))
            assert (await client.run("w", "one")).result == 1
            stop.set()
            await killing
            async with asyncio.timeout(10):
                while (answer := await client.inline("cold", "return 1")).status != 200:
                    assert_unavailable(answer, "is tried again in")
            await _assert_all_is_well(client)
            os.kill(skep.zygote_pid(), signal.SIGKILL)
        # It ends at once, whatever it is waiting for.
        began = time.monotonic()
        skep.process.terminate()
        assert await asyncio.to_thread(skep.process.wait, 10) == 0
        assert time.monotonic() - began < 3
        assert all(state(pid) in {None, "Z"} for pid in workers)


def _has_started(skep: Skep, count: int) -> bool:
    """Whether there have been so many zygotes."""
    return [line["event"] for line in skep.log_lines()].count("zygote started") >= count


async def _kill_every_zygote(skep: Skep, stop: asyncio.Event) -> None:
    while not stop.is_set():
        for pid in zygotes(skep):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(0.005)


async def test_without_a_pid_namespace_runs_that_are_lost_with_the_zygote_say_so_and_nobody_backs_off(
    tmp_path: Path,
) -> None:
    with running_skep(tmp_path, {"SANDBOX_LEVEL": "none"}, command=WITHOUT_NAMESPACES) as skep:
        async with client_of(skep) as client:
            hold = "import asyncio\ncache['held'] = True\nawait asyncio.sleep(10)"
            await client.deploy("w", {"hold": hold, "held": "return cache.get('held')", **ONE})
            for number in range(2, 4):
                holding = asyncio.create_task(client.run("w", "hold"))
                async with asyncio.timeout(5):
                    while (await client.run("w", "held")).result is not True:
                        pass
                os.kill(skep.zygote_pid(), signal.SIGKILL)
                lost = await holding
                assert (lost.status, lost.body["error"]) == (502, "WorkerLost")
                assert "the process that forks workers was lost" in lost.body["details"]["reason"]
                await until(partial(_has_started, skep, number))
                assert (await client.run("w", "one")).result == 1
