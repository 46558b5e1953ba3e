"""A worker process as the service holds it: who kills it, and who hears how it ended."""

import asyncio
import contextlib
import os
import signal
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

WITH_ITS_ZYGOTE: Final = "the process that forks workers was lost, and without a pid namespace its workers go with it"
"""How a worker ended that had done nothing to deserve it."""

_NS: Final = 1e9

ExitStatus = int | str | None
"""As `os.waitstatus_to_exitcode` gives it; `WITH_ITS_ZYGOTE`; or None when nobody could tell."""


@dataclass(slots=True)
class Child:
    """Whoever gets one closes it."""

    pid: int
    pidfd: int
    connection: socket.socket
    exit_status: "asyncio.Future[ExitStatus]"
    """Set once the process is gone, or nobody will hear of its end any more."""

    def kill(self) -> None:
        """End the process; returns before it is gone. Safe to call at any time, also after its end."""
        if self.pidfd >= 0:
            kill(self.pidfd)

    def waited_s(self) -> float:
        """How long it has waited for a processor in its life, see schedstat; 0 where the kernel does not say."""
        try:
            _ran_ns, waited_ns, _turns = Path(f"/proc/{self.pid}/schedstat").read_text().split()
        except (OSError, ValueError):
            return 0.0
        return int(waited_ns) / _NS

    def close(self) -> None:
        """Give the descriptor back. The process must be gone."""
        if self.pidfd >= 0:
            # Reaps it in case it became ours: as process 1 of a container the service inherits a dead zygote's workers.
            with contextlib.suppress(ChildProcessError):
                os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED | os.WNOHANG)
            os.close(self.pidfd)
            self.pidfd = -1


def kill(pidfd: int) -> None:
    """End the process that this descriptor names, if it has not ended."""
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
