"""The processes of one service, also those whose parent has died, and how to kill one of them and no other.

The zygote leads a session of its own, and whatever it forks stays in it: that finds the workers of one that is gone.
"""

import asyncio
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.processes import Process, name_of, read_process

WORKER: Final = "skep-worker"


@dataclass(slots=True)
class Kill:
    """A worker that was killed from outside. Times are the event loop's."""

    pid: int
    at: float
    is_orphan: bool
    """Its zygote was gone, so that nobody can say how it ended."""
    gone: float | None = None
    """When it was no more; None as long as nobody has seen that."""


class Family:
    """The service `pid` and all that it started."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._zygotes: dict[int, int] = {}
        """Those seen so far, with the time of their start."""

    def read(self) -> list[Process]:
        """All of them that live, the service first. What is not seen while its zygote lives is not known later."""
        living = [read_process(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        processes = [process for process in living if process is not None]
        for process in processes:
            if process.parent == self.pid:
                self._zygotes[process.pid] = process.started_ticks
        own = [process for process in processes if process.pid == self.pid]
        for process in processes:
            started = self._zygotes.get(process.session)
            if started is not None and process.started_ticks >= started:
                own.append(process)
        return own

    def workers(self) -> list[Process]:
        """Those that are under their own name; one that is being born is not yet."""
        return [process for process in self.read() if name_of(process.pid) == WORKER]

    def zygote(self) -> Process | None:
        """The child of the service, if there is one just now."""
        return next((process for process in self.read() if process.parent == self.pid), None)

    def newborn(self, known: set[int]) -> Process | None:
        """A worker of the zygote that lives now which is not known, if there is one; cheap to ask all the time."""
        for pid in self.forked() - known:
            if name_of(pid) == WORKER:
                return read_process(pid)
        return None

    def forked(self) -> set[int]:
        """What the zygote that lives now has forked, by number."""
        try:
            (zygote,) = _children(self.pid)
            return set(_children(zygote))
        except (OSError, ValueError):
            return set()  # there is none just now

    def kill(self, process: Process) -> Kill | None:
        """SIGKILL for this process and none that has its number later; None if it is gone already."""
        loop = asyncio.get_running_loop()
        try:
            pidfd = os.pidfd_open(process.pid)
        except ProcessLookupError:
            return None
        now = read_process(process.pid)
        if now is None or now.started_ticks != process.started_ticks:
            os.close(pidfd)
            return None
        zygotes = {process.session for process in self.read() if process.parent == self.pid}
        kill = Kill(process.pid, loop.time(), is_orphan=process.session not in zygotes)

        def notice() -> None:
            kill.gone = loop.time()
            loop.remove_reader(pidfd)
            os.close(pidfd)

        try:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        except ProcessLookupError:
            os.close(pidfd)
            return None
        loop.add_reader(pidfd, notice)
        return kill


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
