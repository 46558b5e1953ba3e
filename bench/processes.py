"""What /proc says about the processes of a server: who descends from whom, their CPU time, their memory."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.errors import MeasureError

OTHERS_MAX_PERCENT: Final = 10
"""More of the processors for processes that are not ours, and what is measured is how those disturb."""
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_KIB_PER_MIB: Final = 1024
# Fields of /proc/<pid>/stat after the closing bracket of the name, see proc_pid_stat(5).
_STATE, _PPID, _SESSION, _UTIME, _STIME, _START = 0, 1, 3, 11, 12, 19
# Fields of the first line of /proc/stat, see proc_stat(5); the time of guests is in that of users already.
_IDLE, _IOWAIT, _GUEST = 3, 4, 8
_GRACE_S: Final = 2.0
_POLL_S: Final = 0.01


@dataclass(frozen=True, slots=True)
class Process:
    """A process of this machine; its start time tells it from a later one with the same number."""

    pid: int
    parent: int
    session: int
    started_ticks: int
    cpu_s: float


def read_process(pid: int) -> Process | None:
    """The process with this number, or None if there is none or it has ended and nobody has asked for its status."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    if fields[_STATE] in "ZX":
        return None
    return Process(
        pid=pid,
        parent=int(fields[_PPID]),
        session=int(fields[_SESSION]),
        started_ticks=int(fields[_START]),
        cpu_s=(int(fields[_UTIME]) + int(fields[_STIME])) / _TICKS_PER_S,
    )


def read_tree(root: int) -> list[tuple[int, Process]]:
    """The process `root` and all that descend from it, each with its depth below `root`."""
    processes = [read_process(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    children: dict[int, list[Process]] = {}
    tree: list[tuple[int, Process]] = []
    for process in processes:
        if process is not None:
            children.setdefault(process.parent, []).append(process)
            if process.pid == root:
                tree.append((0, process))
    for depth, process in tree:  # grows while it is walked
        tree.extend((depth + 1, child) for child in children.get(process.pid, ()))
    return tree


def find_workers(root: int) -> list[int]:
    """The workers of the service `root`, by process id: what the zygote, a child of the service, has forked.

    But not the process 1 of their pid namespace, which is named as what it is.
    """
    return [process.pid for depth, process in read_tree(root) if depth >= 2 and name_of(process.pid) == "skep-worker"]


def tree_cpu_s(root: int) -> float:
    """User and system time of `root` and what descends from it, without what has ended in between."""
    return sum(process.cpu_s for _, process in read_tree(root))


def machine_cpu_s() -> float:
    """Time that all processors together have been busy, whoever with, what the host took from a guest included."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    return (sum(fields[:_GUEST]) - fields[_IDLE] - fields[_IOWAIT]) / _TICKS_PER_S


@contextmanager
def watch_others(shares: list[float]) -> Iterator[None]:
    """Add how much of the processors, in percent, went to processes that are not ours."""
    started, machine_s, own_s = time.monotonic(), machine_cpu_s(), tree_cpu_s(os.getpid())
    yield
    others_s = machine_cpu_s() - machine_s - (tree_cpu_s(os.getpid()) - own_s)
    shares.append(max(others_s, 0.0) / (time.monotonic() - started) / (os.cpu_count() or 1) * 100)


def has_filter(pid: int) -> bool:
    """Whether a process is under a seccomp filter. Raises: MeasureError if it is gone."""
    try:
        return "\nSeccomp:\t2\n" in Path(f"/proc/{pid}/status").read_text()
    except OSError as error:
        raise MeasureError(f"the status of process {pid} cannot be read: {error}") from error


def read_private_mib(pid: int) -> float:
    """Memory that no other process shares with this one: Private_Clean + Private_Dirty of smaps_rollup.

    Raises: MeasureError if the system does not let us look (another user's process), or it is gone.
    """
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError as error:
        raise MeasureError(f"the memory of worker {pid} cannot be read: {error}") from error
    private = [line.split() for line in text.splitlines() if line.startswith(("Private_Clean:", "Private_Dirty:"))]
    return sum(int(fields[1]) for fields in private) / _KIB_PER_MIB


def end_leftovers(tree: list[tuple[int, Process]]) -> int:
    """Make sure that nothing lives of a tree that was read earlier; returns how many had to be killed.

    What is going by itself gets `_GRACE_S` to do so.
    """
    give_up_at = time.monotonic() + _GRACE_S
    left = _living(tree)
    while left and time.monotonic() < give_up_at:
        time.sleep(_POLL_S)
        left = _living(tree)
    for process in left:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    return len(left)


def name_of(pid: int) -> str:
    """The name of a process, see proc_pid_comm(5); empty if there is none."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""  # gone since


def _living(tree: list[tuple[int, Process]]) -> list[Process]:
    now = [read_process(process.pid) for _, process in tree]
    return [
        process
        for process, (_, before) in zip(now, tree, strict=True)
        if process is not None and process.started_ticks == before.started_ticks
    ]
