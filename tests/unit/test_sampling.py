"""What workers use: read of real processes, remembered of dead ones, a few a turn."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from service.workers import sampling
from service.workers.sampling import Sampled, Sampler, Usage, read_usage

MB = 2**20
PROGRAM = """
import sys, time
for line in sys.stdin:
    what, amount = line.split()
    if what == "take":
        taken = b"x" * int(amount)
    else:
        until = time.process_time() + float(amount)
        while time.process_time() < until:
            pass
    print("done", flush=True)
"""


@dataclass(eq=False)
class Process:
    """A child that takes memory and burns processor time when it is told to."""

    workspace: str = "w"
    process: subprocess.Popen[str] = field(
        default_factory=lambda: subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
    )

    @property
    def pid(self) -> int:
        return self.process.pid

    def told(self, what: str, amount: float) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{what} {amount}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@contextmanager
def processes(*workspaces: str) -> Iterator[list[Process]]:
    running = [Process(workspace) for workspace in workspaces]
    try:
        yield running
    finally:
        for process in running:
            process.end()


@dataclass(frozen=True)
class Numbered:
    """A worker that is only a number."""

    pid: int
    workspace: str = "w"


class Rounds:
    """Workers, and how often they were asked for."""

    def __init__(self, workers: list[Sampled]) -> None:
        self.workers = workers
        self._asked = asyncio.Semaphore(0)

    def __call__(self) -> list[Sampled]:
        self._asked.release()
        return self.workers

    async def passed(self, count: int) -> None:
        """So many rounds over these workers are over."""
        while not self._asked.locked():
            await self._asked.acquire()
        async with asyncio.timeout(10):
            for _ in range(count + 1):
                await self._asked.acquire()


@contextmanager
def invented(monkeypatch: pytest.MonkeyPatch, usages: dict[int, Usage]) -> Iterator[None]:
    """Uses that are read of no process."""
    with monkeypatch.context() as patched:
        patched.setattr(sampling, "read_usage", usages.get)
        yield


def test_memory_and_processor_time_are_those_of_the_process() -> None:
    with processes("w") as (process,):
        process.told("take", 1)
        before = read_usage(process.pid)
        process.told("take", 50 * MB)
        process.told("burn", 0.1)
        after = read_usage(process.pid)
        assert before is not None
        assert after is not None
        assert 50 * MB <= after.memory_bytes - before.memory_bytes < 51 * MB
        assert 0.1 <= after.cpu_seconds - before.cpu_seconds + 0.011 < 5
        assert before.started == after.started
    assert read_usage(process.pid) is None


def test_nobody_uses_nothing() -> None:
    assert read_usage(2**22 + 1) is None
    assert Sampler(lambda: [Numbered(2**22 + 1)]).usage().memory_sum_bytes == 0


def test_what_dead_workers_used_stays_in_the_total(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = Numbered(1, "a"), Numbered(2, "b")
    workers: list[Sampled] = [one, two]
    sampler = Sampler(lambda: workers)
    with invented(monkeypatch, {1: Usage(10 * MB, 3.0, 7), 2: Usage(5 * MB, 1.0, 8)}):
        sampler.sample(one)
        sampler.sample(two)
    usage = sampler.usage()
    assert (usage.memory_sum_bytes, usage.memory_max_bytes, usage.cpu_seconds) == (15 * MB, 10 * MB, 4.0)
    assert usage.workspaces["a"].cpu_seconds == 3.0
    workers.remove(one)
    with invented(monkeypatch, {2: Usage(6 * MB, 1.5, 8)}):
        sampler.sample(one)
        sampler.sample(two)
    usage = sampler.usage()
    assert (usage.memory_sum_bytes, usage.cpu_seconds) == (6 * MB, 4.5)
    # Nor does a workspace's own go back to nothing while its next worker is not yet looked at.
    assert (usage.workspaces["a"].memory_bytes, usage.workspaces["a"].cpu_seconds) == (0, 3.0)


def test_a_number_that_belongs_to_another_process_by_now_is_not_taken_for_the_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker = Numbered(1)
    sampler = Sampler(lambda: [worker])
    for usage in (Usage(MB, 1.0, 7), Usage(900 * MB, 500.0, 8)):
        with invented(monkeypatch, {1: usage}):
            sampler.sample(worker)
    assert sampler.usage().cpu_seconds == 1.0
    assert sampler.usage().memory_sum_bytes == MB


async def test_a_workspace_keeps_its_time_while_it_lives_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a tenant who makes and deletes workspaces without end would fill the memory."""
    rounds = Rounds([])
    sampler = Sampler(rounds, every_s=0)
    usages = {pid: Usage(MB, 0.5, pid) for pid in range(1001)}
    with invented(monkeypatch, usages):
        async with sampler.running():
            for pid in range(1, 101):
                rounds.workers = [Numbered(pid, f"w{pid}"), Numbered(0, "kept")]
                await rounds.passed(2)
        assert sampler.usage().cpu_seconds == pytest.approx(50.5)
        assert len(sampler._last) == len(sampler._workspaces_cpu_s) == 2
        rounds.workers = [Numbered(1000, "kept")]
        async with sampler.running():
            await rounds.passed(2)
        assert sampler.usage().workspaces["kept"].cpu_seconds == 1.0


async def test_real_workers_are_sampled_less_what_they_were_forked_with() -> None:
    with processes("base", "a", "a") as (base, one, two):
        for process in (base, one, two):
            process.told("take", 1)
        one.told("take", 20 * MB)
        two.told("burn", 0.05)
        rounds = Rounds([one, two])
        sampler = Sampler(rounds, every_s=0, zygote_pid=lambda: base.pid)
        async with sampler.running():
            await rounds.passed(2)
        usage = sampler.usage()
        assert 19 * MB < usage.memory_max_bytes <= usage.memory_sum_bytes < 23 * MB
        assert usage.cpu_seconds >= 0.04
        assert usage.workspaces["a"].memory_bytes == usage.memory_sum_bytes


async def test_many_workers_are_sampled_a_few_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    turn = 0
    seen: list[int] = []

    def read(pid: int) -> Usage:
        seen.append(turn)
        return Usage(MB, 0.0, pid)

    monkeypatch.setattr(sampling, "read_usage", read)
    sampler = Sampler(lambda: [Numbered(pid) for pid in range(500)], every_s=0)
    async with sampler.running(), asyncio.timeout(10):
        while len(seen) < 500:
            turn += 1
            await asyncio.sleep(0)
    assert max(seen.count(one) for one in set(seen)) <= sampling.TURN_WORKERS
    assert sampler.usage().memory_sum_bytes == 500 * MB
