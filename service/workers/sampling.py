"""What workers use of memory and processor, read from /proc a few at a time.

Source: proc(5). A worker cannot be asked, since it would say what it likes.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Final, NamedTuple, Protocol

from service.metrics.observation import Usage as TotalUsage
from service.metrics.observation import Used

TURN_MAX_S: Final = 0.0005
"""So long one turn of the loop may go on sampling."""
TURN_WORKERS: Final = 16
"""So many are looked at in a turn: some 0.3 ms."""

_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_READ_BYTES: Final = 1024
_USER, _SYSTEM, _STARTED = 11, 12, 19
"""Fields of /proc/<pid>/stat, counted from behind the name, which may hold anything."""


class Usage(NamedTuple):
    """What one process uses."""

    memory_bytes: int
    """Resident and not of a file or shared memory. Pages that it shares with the process that forked it are in this."""
    cpu_seconds: float
    started: int
    """In ticks since the machine started: tells a process from another that has its number later."""


class Sampled(Protocol):
    """A worker."""

    @property
    def pid(self) -> int: ...
    @property
    def workspace(self) -> str: ...


def read_usage(pid: int) -> Usage | None:
    """None if there is no such process, or it may not be looked at.

    `statm` and `stat`, since `smaps`, which would tell private from shared pages, is closed for a process that gave up
    being dumpable, as workers do.
    """
    try:
        statm = _read(f"/proc/{pid}/statm").split()
        stat = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
        pages = int(statm[1]) - int(statm[2])
        ticks = int(stat[_USER]) + int(stat[_SYSTEM])
        return Usage(max(pages, 0) * _PAGE_BYTES, ticks / _TICKS_PER_S, int(stat[_STARTED]))
    except (OSError, IndexError):
        return None


class Sampler:
    """Looks at each worker every `every_s`, and remembers.

    `workers` must give a worker until it is gone: one that comes back is taken for a new one and counted again.

    `zygote_pid`: of the process that workers are forked from, if there is one. What that has, a worker has too without
    needing memory of its own, so it is taken off; pages that a worker wrote over, some 3 MiB, are the error of that.
    """

    def __init__(
        self, workers: Callable[[], Iterable[Sampled]], *, every_s: float = 5.0,
        zygote_pid: Callable[[], int | None] = lambda: None,
    ) -> None:  # fmt: skip
        self._workers = workers
        self._every_s = every_s
        self._zygote_pid = zygote_pid
        self._inherited_bytes = 0
        self._last: dict[Sampled, Usage] = {}
        self._cpu_s = 0.0
        self._workspaces_cpu_s: dict[str, float] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Sample; on exit no more."""
        sampling = asyncio.create_task(self._run())
        try:
            yield
        finally:
            sampling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sampling

    def sample(self, worker: Sampled) -> None:
        """Look at one worker now, as before it is ended: what it does after its last sample nobody counts."""
        usage = read_usage(worker.pid)
        last = self._last.get(worker)
        if usage is None or (last is not None and usage.started != last.started):
            return  # gone, and perhaps the number belongs to somebody else by now
        more = usage.cpu_seconds - (last.cpu_seconds if last is not None else 0.0)
        self._last[worker] = usage
        self._cpu_s += more
        self._workspaces_cpu_s[worker.workspace] = self._workspaces_cpu_s.get(worker.workspace, 0.0) + more

    def of(self, worker: Sampled) -> Usage | None:
        """What a worker used when it was last looked at."""
        return self._last.get(worker)

    def usage(self) -> TotalUsage:
        """What all workers use. A workspace has what its dead workers used for as long as it has live ones."""
        by_workspace: dict[str, int] = {}
        most = total = 0
        for worker in self._workers():
            last = self._last.get(worker)
            if last is not None:
                own = max(last.memory_bytes - self._inherited_bytes, 0)
                total += own
                most = max(most, own)
                by_workspace[worker.workspace] = by_workspace.get(worker.workspace, 0) + own
        return TotalUsage(
            memory_sum_bytes=total,
            memory_max_bytes=most,
            cpu_seconds=self._cpu_s,
            workspaces={name: Used(by_workspace.get(name, 0), cpu_s) for name, cpu_s in self._workspaces_cpu_s.items()},
        )

    async def _run(self) -> None:
        while True:
            workers = list(self._workers())
            self._forget_all_but(workers)
            zygote = self._zygote_pid()
            inherited = read_usage(zygote) if zygote is not None else None
            if inherited is not None:
                self._inherited_bytes = inherited.memory_bytes
            turns = -(-len(workers) // TURN_WORKERS) or 1
            for turn in range(turns):
                await self._take(workers[turn * TURN_WORKERS : (turn + 1) * TURN_WORKERS])
                await asyncio.sleep(self._every_s / turns)

    async def _take(self, workers: list[Sampled]) -> None:
        until = time.perf_counter() + TURN_MAX_S
        for worker in workers:
            if time.perf_counter() > until:  # the machine is slow, or busy: go on in the next turn
                await asyncio.sleep(0)
                until = time.perf_counter() + TURN_MAX_S
            self.sample(worker)

    def _forget_all_but(self, workers: list[Sampled]) -> None:
        """Of the dead only what they used stays, and that of a workspace only while somebody of it lives.

        So what is kept here is bounded by the workers there are, however many workspaces come and go.
        """
        alive = set(workers)
        for worker in self._last.keys() - alive:
            del self._last[worker]
        for name in self._workspaces_cpu_s.keys() - {worker.workspace for worker in workers}:
            del self._workspaces_cpu_s[name]


def _read(path: str) -> bytes:
    """A small file of /proc. Opened and read by hand: it is half the price of a file object."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, _READ_BYTES)
    finally:
        os.close(descriptor)
