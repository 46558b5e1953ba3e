"""One zygote process as the service holds it: its start, what is asked of it, its end.

When it is lost it is not asked again and whoever waits for it is told; another is for `Zygote` to start.
"""

import asyncio
import contextlib
import os
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import Callable, Sequence
from typing import Any, Final

from sandbox import protocol
from service.errors import WorkersUnavailable
from service.workers.cgroups import ControlGroup
from service.workers.child import WITH_ITS_ZYGOTE, Child, ExitStatus, kill

ZYGOTE_MODULE: Final = "sandbox.zygote"
START_TIMEOUT_S: Final = 30.0
STOP_TIMEOUT_S: Final = 5.0
FORK_TIMEOUT_S: Final = 2.0

_NAMESPACES: Final = "namespaces"
"""The layer of the jail with which workers outlive the process that forked them."""


class ZygoteGone(Exception):
    """The zygote ended while something was asked of it."""


class ForkServer:
    """Made by `start_fork_server`. `on_lost` is called once, when it is not to be asked any more."""

    def __init__(self, process: Process, control: socket.socket, *, on_lost: Callable[[], None]) -> None:
        self.pid = process.pid
        self.lost = asyncio.Event()
        """Set when it is not to be asked any more."""
        self.ready: asyncio.Future[protocol.ZygoteReady] = asyncio.get_running_loop().create_future()
        self._process = process
        self._control = control
        self._on_lost = on_lost
        self._forks: dict[int, asyncio.Future[tuple[int, int]]] = {}
        self._exits: dict[int, asyncio.Future[ExitStatus]] = {}
        asyncio.get_running_loop().add_reader(control, self._read)

    async def fork(self, number: int, *, memory_max_bytes: int) -> Child:
        """A new worker. Raises: WorkersUnavailable; ZygoteGone if it is lost, also because it did not answer."""
        if self.lost.is_set():
            raise ZygoteGone
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[tuple[int, int]] = loop.create_future()
        exited: asyncio.Future[ExitStatus] = loop.create_future()
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            raise _unavailable(error) from error
        with theirs:
            ours.setblocking(False)
            self._forks[number], self._exits[number] = answer, exited
            try:
                self._ask(protocol.Fork(worker=number, memory_max_bytes=memory_max_bytes), theirs)
                # Shielded: a caller that leaves must not orphan a process that is being born.
                async with asyncio.timeout(FORK_TIMEOUT_S):
                    pid, pidfd = await asyncio.shield(answer)
            except BaseException as error:
                ours.close()
                answer.add_done_callback(_kill_unwanted)
                if isinstance(error, TimeoutError):
                    self.kill()
                    raise ZygoteGone from error
                raise
        return Child(pid=pid, pidfd=pidfd, connection=ours, exit_status=exited)

    def kill(self) -> None:
        """It hangs, or nobody will want it: its end, and not that of its workers where they can outlive it."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._lose()

    async def stop(self) -> None:
        """End it: it kills its workers when its control socket closes, and is killed if it does not end. Returns when
        the process is gone; may be called again.
        """
        self._lose()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self._process.wait()
        except TimeoutError:
            self.kill()
            await self._process.wait()

    def _ask(self, request: protocol.Fork, connection: socket.socket) -> None:
        """Raises: ZygoteGone; WorkersUnavailable where this process may not send it, which says nothing about it."""
        try:
            socket.send_fds(self._control, [protocol.encode_packet(request)], [connection.fileno()])
        except OSError as error:
            self._forks.pop(request.worker, None)
            self._exits.pop(request.worker, None)
            if isinstance(error, ConnectionError):
                self._lose()
                raise ZygoteGone from error
            raise _unavailable(error) from error

    def _read(self) -> None:
        try:
            packet, descriptors, _flags, _address = socket.recv_fds(self._control, protocol.ZYGOTE_FRAME_BYTES, 1)
        except BlockingIOError:
            return
        except OSError:
            packet, descriptors = b"", []
        if not packet:
            self._lose()
            return
        match protocol.decode_from_zygote(packet):
            case protocol.ZygoteReady() as ready:
                self.ready.set_result(ready)
            case protocol.Forked(worker=number, pid=pid) if descriptors:
                # It came inheritable, and uvloop's children inherit that: the next zygote would hold it for ever.
                os.set_inheritable(descriptors[0], False)
                self._forks.pop(number).set_result((pid, descriptors[0]))
            case protocol.Forked(worker=number):
                # The kernel drops what this process has no number left for. The worker ends with its connection.
                self._forks.pop(number).set_exception(WorkersUnavailable(_sentence("Too many open files")))
            case protocol.NotForked(worker=number, reason=reason):
                self._exits.pop(number)
                self._forks.pop(number).set_exception(WorkersUnavailable(_sentence(reason)))
            case protocol.Exited(worker=number, status=status):
                exited = self._exits.pop(number, None)
                if exited is not None and not exited.done():
                    exited.set_result(status)

    def _lose(self) -> None:
        if self.lost.is_set():
            return
        self.lost.set()
        asyncio.get_running_loop().remove_reader(self._control)
        self._control.close()
        waiters: list[asyncio.Future[Any]] = [self.ready, *self._forks.values()]
        how = None if self._outlived_by_workers() else WITH_ITS_ZYGOTE
        for waiting in waiters:
            if not waiting.done():
                waiting.set_exception(ZygoteGone())
                waiting.exception()  # somebody may have stopped waiting; that is no error
        for exited in self._exits.values():
            if not exited.done():
                exited.set_result(how)
        self._on_lost()

    def _outlived_by_workers(self) -> bool:
        if not self.ready.done() or self.ready.cancelled() or self.ready.exception() is not None:
            return False
        return any(layer.name == _NAMESPACES and layer.is_on for layer in self.ready.result().layers)


async def start_fork_server(
    group: ControlGroup, modules: Sequence[str], *, on_lost: Callable[[], None]
) -> tuple[ForkServer, protocol.ZygoteReady]:
    """A zygote that is ready, and what it says of itself. Raises: WorkersUnavailable, and then nothing is left of it;
    the same when this is cancelled.
    """
    try:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    except OSError as error:
        raise _not_up(error.strerror) from error
    with theirs:
        ours.setblocking(False)
        command = (sys.executable, "-I", "-X", "utf8", "-m", ZYGOTE_MODULE, str(theirs.fileno()))
        try:
            process = await asyncio.create_subprocess_exec(
                *command, ",".join(modules),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={},  # tenant code must find nothing of the service's environment, in memory neither
                start_new_session=True,  # a terminal's Ctrl-C is for the service, which then ends the zygote
            )  # fmt: skip
        except BaseException as error:
            ours.close()
            if isinstance(error, OSError):
                raise _not_up(error.strerror) from error
            raise
    server = ForkServer(process, ours, on_lost=on_lost)
    try:
        group.add(process.pid)
        async with asyncio.timeout(START_TIMEOUT_S):
            return server, await server.ready
    except BaseException as error:
        server.kill()  # it has no workers yet, so that nobody needs its farewell
        await asyncio.shield(server.stop())
        if isinstance(error, TimeoutError | ZygoteGone):
            raise _not_up(None) from error
        raise


def _not_up(reason: str | None) -> WorkersUnavailable:
    return WorkersUnavailable(f"The process that starts workers did not come up{f': {reason}' if reason else ''}.")


def _unavailable(error: OSError) -> WorkersUnavailable:
    return WorkersUnavailable(_sentence(error.strerror or str(error)))


def _sentence(reason: str) -> str:
    return f"No worker can be started: {reason}."


def _kill_unwanted(answer: "asyncio.Future[tuple[int, int]]") -> None:
    """The caller left before its worker was born."""
    if not answer.cancelled() and answer.exception() is None:
        _pid, pidfd = answer.result()
        kill(pidfd)
        os.close(pidfd)
