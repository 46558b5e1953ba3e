"""The fork server: one process that has everything imported and does nothing but fork workers.

It is single-threaded and runs no event loop, so that a fork copies nothing half-done. The service is its only client,
over one SOCK_SEQPACKET socket; when that closes, the zygote kills what it has forked and ends, so that a service that
was killed leaves no tenant code running. A zygote that dies does not take its workers along: they hold connections
of their own.
"""

import contextlib
import gc
import os
import select
import signal
import socket
import sys
from array import array
from pathlib import Path

from sandbox import protocol, worker
from sandbox.jail.lockdown import CONNECTION_FD, lock_down
from sandbox.python.frozen_classes import freeze_own_classes
from sandbox.python.modules import preload


class Zygote:
    """Serves fork requests until the service is gone."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._workers: dict[int, int] = {}
        self._wakeup_read, self._wakeup_write = os.pipe()
        self._own_address_space_bytes = _address_space_bytes()

    def serve(self) -> bool:
        """Fork on request. Returns False when the service is gone, True in a child that is to become a worker."""
        for end in (self._wakeup_read, self._wakeup_write):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda _signal, _frame: None)
        signal.set_wakeup_fd(self._wakeup_write, warn_on_full_buffer=False)
        self._report(protocol.ZygoteReady(pid=os.getpid()))
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._wakeup_read, select.POLLIN)
        while True:
            ready = {fd for fd, _event in poll.poll()}
            if self._wakeup_read in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wakeup_read, 4096)
                self._reap()
            if self._control.fileno() in ready:
                packet, descriptors, _flags, _address = socket.recv_fds(
                    self._control, protocol.ZYGOTE_FRAME_BYTES, maxfds=1
                )
                if not packet:
                    return False
                if self._fork(protocol.decode_to_zygote(packet), descriptors[0]):
                    return True

    def kill_workers(self) -> None:
        """End every worker that is still alive; nobody would answer for what it does."""
        for pid in self._workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _fork(self, request: protocol.Fork, connection_fd: int) -> bool:
        """Returns True in the child."""
        try:
            pid = os.fork()
        except OSError as error:
            os.close(connection_fd)
            self._report(protocol.NotForked(worker=request.worker, reason=error.strerror or str(error)))
            return False
        if pid == 0:
            limit = self._own_address_space_bytes + request.memory_max_bytes
            lock_down(connection_fd, address_space_max_bytes=limit)
            return True
        os.close(connection_fd)
        self._workers[pid] = request.worker
        # A pidfd names this very process for ever: the service can kill it without a race on recycled numbers.
        pidfd = os.pidfd_open(pid)
        self._report(protocol.Forked(worker=request.worker, pid=pid), pidfd)
        os.close(pidfd)
        return False

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
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
    """What this process has mapped before any tenant allocates; a worker's limit counts from here."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGESIZE")


def main() -> None:
    """Become the zygote, and in each child a worker. The first argument is the number of the control descriptor."""
    control = socket.socket(fileno=int(sys.argv[1]))
    preload(sys.argv[2].split(","))
    worker.prepare()
    freeze_own_classes()
    zygote = Zygote(control)
    # What exists now is shared by every worker: keep the collector from writing to its pages.
    gc.collect()
    gc.freeze()
    gc.disable()
    if zygote.serve():
        control.detach()
        gc.enable()
        worker.main(socket.socket(fileno=CONNECTION_FD))
    else:
        zygote.kill_workers()


if __name__ == "__main__":
    main()
