"""The fork server: one process that has everything imported and does nothing but fork workers.

It is single-threaded and runs no event loop, so that a fork copies nothing half-done. It enters the jail's namespaces
before its first fork, and from then on sees no file; what workers will need has been imported by then.

The service is its only client, over one SOCK_SEQPACKET socket; when that closes, the zygote kills what it has forked
and ends, so that a service that was killed leaves no tenant code running. A zygote that dies does not take its workers
along: they hold connections of their own.
"""

import contextlib
import errno
import gc
import os
import select
import signal
import socket
import sys
import time
import traceback
from array import array
from functools import partial
from pathlib import Path
from typing import Final

from sandbox import protocol, worker
from sandbox.heap import fill_holes
from sandbox.jail import kernel
from sandbox.jail.jail import Jail
from sandbox.jail.lockdown import CONNECTION_FD, LAST_STEP, Cell, lock_down
from sandbox.python.frozen_classes import freeze_own_classes
from sandbox.python.modules import preload
from sandbox.rehearsal import rehearse

PROCESS_NAME: Final = b"skep-zygote"
_OOM_SCORE: Final = "500"
_COLLECTED_AFTER: Final = 5_000
"""Objects that a worker makes before its collector looks at the youngest; Python's own 700 is from smaller machines."""

_REASONS: Final = {
    errno.EAGAIN: "there may be no more processes here",
    errno.ENOMEM: "there is no memory for another process",
    errno.EMFILE: "the process that starts workers has too many open files",
}
"""Why there is no worker, where the kernel's own words say too little."""

_INIT_ENDS_IN_S: Final = 0.1
"""Or a fork has failed for want of memory."""


class InitGone(Exception):
    """Process 1 of the workers has ended, and every worker with it."""


class Zygote:
    """Serves fork requests until the service is gone. The jail must have been entered."""

    def __init__(self, control: socket.socket, jail: Jail, *, own_address_space_bytes: int) -> None:
        self._control = control
        self._jail = jail
        self._workers: dict[int, int] = {}
        self._wakeup_read, self._wakeup_write = os.pipe()
        self._own_address_space_bytes = own_address_space_bytes
        """What is mapped before any tenant allocates; a worker's limit counts from here."""

    def serve(self) -> Cell | None:
        """Fork on request. Returns None when the service is gone or no worker can be made any more; in a child that is
        to become a worker, what that is to be locked in with.
        """
        for end in (self._wakeup_read, self._wakeup_write):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda _signal, _frame: None)
        signal.set_wakeup_fd(self._wakeup_write, warn_on_full_buffer=False)
        self._report(protocol.ZygoteReady(pid=os.getpid(), level=self._jail.level, layers=self._jail.layers))
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._wakeup_read, select.POLLIN)
        while True:
            ready = {fd for fd, _event in poll.poll()}
            if self._wakeup_read in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wakeup_read, 4096)
                if not self._reap():
                    return None
            if self._control.fileno() in ready:
                packet, descriptors, _flags, _address = socket.recv_fds(
                    self._control, protocol.ZYGOTE_FRAME_BYTES, maxfds=1
                )
                if not packet:
                    return None
                request = protocol.decode_to_zygote(packet)
                if not descriptors:
                    # The kernel drops what this process has no number left for.
                    self._refuse(request, errno.EMFILE)
                    continue
                try:
                    cell = self._fork(request, descriptors[0])
                except InitGone:
                    return None
                if cell is not None:
                    return cell

    def kill_workers(self) -> None:
        """End every worker that is still alive; nobody would answer for what it does."""
        for pid in self._workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _fork(self, request: protocol.Fork, connection_fd: int) -> Cell | None:
        """Returns a cell in the child. Raises: InitGone when no process can be made inside any more."""
        try:
            pid = os.fork()
        except OSError as error:
            os.close(connection_fd)
            if self._is_init_gone(error.errno):
                # Not a refusal: the service asks the next zygote.
                raise InitGone from error
            self._refuse(request, error.errno)
            return None
        if pid == 0:
            limit = self._own_address_space_bytes + request.memory_max_bytes
            return self._jail.cell(request.worker, connection_fd=connection_fd, address_space_max_bytes=limit)
        os.close(connection_fd)
        try:
            self._hand_over(request.worker, pid)
        except OSError as error:
            # Nobody could ever end it.
            os.kill(pid, signal.SIGKILL)
            self._refuse(request, error.errno)
        else:
            self._workers[pid] = request.worker
        return None

    def _hand_over(self, number: int, pid: int) -> None:
        """Raises: OSError, and then the service knows nothing of this worker."""
        # A pidfd names this very process for ever: the service can kill it without a race on recycled numbers.
        pidfd = os.pidfd_open(pid)
        try:
            self._report(protocol.Forked(worker=number, pid=pid), pidfd)
        finally:
            os.close(pidfd)

    def _refuse(self, request: protocol.Fork, number: int | None) -> None:
        """Say that there will be no such worker, and why."""
        reason = _REASONS.get(number or 0) or os.strerror(number or 0)
        self._report(protocol.NotForked(worker=request.worker, reason=reason))

    def _is_init_gone(self, number: int | None) -> bool:
        """Whether that is why a fork has failed. The kernel says so before process 1 has ended, in the words for a lack
        of memory: it ends only when the workers it takes along have been reaped, which is for this process to do.
        """
        if self._jail.init_pid is None or number != errno.ENOMEM:
            return False
        end = time.monotonic() + _INIT_ENDS_IN_S
        while self._reap():
            if time.monotonic() > end:
                return False
            time.sleep(_INIT_ENDS_IN_S / 50)
        return True

    def _reap(self) -> bool:
        """Returns False when the workers' process 1 is gone, and with it every worker: there can be no more here."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return True
            if pid == 0:
                return True
            if pid == self._jail.init_pid:
                return False
            number = self._workers.pop(pid, None)
            if number is not None:
                self._report(protocol.Exited(worker=number, status=os.waitstatus_to_exitcode(status)))

    def _report(self, message: protocol.Message, *descriptors: int) -> None:
        # A service that is gone shows as an end of file at the next poll.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._control.sendmsg(
                [protocol.encode_packet(message)],
                [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", descriptors))] if descriptors else [],
            )


def _address_space_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGESIZE")


def _offer_itself_first() -> None:
    """Where memory runs out, the kernel takes this process or a worker and not the service."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)


def main() -> None:
    """Become the zygote, and in each child a worker. The first argument is the number of the control descriptor."""
    control = socket.socket(fileno=int(sys.argv[1]))
    kernel.prctl(kernel.PR_SET_NAME, PROCESS_NAME)
    _offer_itself_first()
    modules = sys.argv[2].split(",")
    preload(modules)
    rehearse(modules)
    freeze_own_classes()
    own_address_space_bytes = _address_space_bytes()
    jail = Jail()
    jail.enter(service_pid=os.getppid())
    zygote = Zygote(control, jail, own_address_space_bytes=own_address_space_bytes)
    # What exists now is shared by every worker: keep the collector from writing to its pages.
    fill_holes()
    gc.freeze()
    gc.disable()
    cell = zygote.serve()
    if cell is None:
        zygote.kill_workers()
        return
    try:
        lock_down(cell)
    except Exception:  # noqa: BLE001  # whatever it is, this process must not go on, and the service must know why
        traceback.print_exc()
        os._exit(protocol.NOT_LOCKED_IN)
    control.detach()
    gc.set_threshold(_COLLECTED_AFTER)
    gc.enable()
    worker.main(socket.socket(fileno=CONNECTION_FD), seal=partial(LAST_STEP, cell))


if __name__ == "__main__":
    main()
