"""The service's side of the zygote: ask for workers, hear of their end, start another zygote when it dies.

A zygote that dies is replaced before the next fork is asked of it; forks that were under way are asked again. Workers
forked by the old one live on: each holds a connection of its own.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, get_args

import structlog

from sandbox import protocol
from service.errors import JailTooWeak, WorkersUnavailable
from service.workers.cgroups import ControlGroup

ZYGOTE_MODULE: Final = "sandbox.zygote"
START_TIMEOUT_S: Final = 30.0
STOP_TIMEOUT_S: Final = 5.0
FORK_TIMEOUT_S: Final = 5.0
FORK_TRIES: Final = 3
FORKS_AT_ONCE: Final = 4
"""More would only wait in the socket's buffer: the zygote forks one after the other."""

LEVELS: Final = get_args(protocol.JailLevel)
"""Weakest first."""

_log = structlog.get_logger()


def is_enough(level: protocol.JailLevel, least: protocol.JailLevel) -> bool:
    """Whether a level of the jail is what an operator accepts, or more."""
    return LEVELS.index(level) >= LEVELS.index(least)


class ZygoteGone(Exception):
    """The zygote ended while something was asked of it."""


@dataclass(slots=True)
class Child:
    """A worker process as the service holds it. Whoever gets one closes it."""

    pid: int
    pidfd: int
    connection: socket.socket
    exit_status: "asyncio.Future[int | None]"
    """Set once the process is gone: as `os.waitstatus_to_exitcode` gives it, or None when nobody could tell."""

    def kill(self) -> None:
        """End the process; returns before it is gone. Safe to call at any time, also after its end."""
        if self.pidfd >= 0:
            _kill(self.pidfd)

    def close(self) -> None:
        """Give the descriptor back. The process must be gone."""
        if self.pidfd >= 0:
            # Reaps it in case it became ours: as process 1 of a container the service inherits a dead zygote's workers.
            with contextlib.suppress(ChildProcessError):
                os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED | os.WNOHANG)
            os.close(self.pidfd)
            self.pidfd = -1


@dataclass(slots=True)
class _Incarnation:
    """One zygote process, with what was asked of it."""

    process: Process
    control: socket.socket
    ready: "asyncio.Future[protocol.ZygoteReady]"
    forks: "dict[int, asyncio.Future[tuple[int, int]]]" = field(default_factory=dict)
    exits: "dict[int, asyncio.Future[int | None]]" = field(default_factory=dict)


class Zygote:
    """Forks workers; survives the death of the process that does it."""

    def __init__(
        self, group: ControlGroup, *, modules: Sequence[str], least: protocol.JailLevel,
        on_start: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self.level: protocol.JailLevel = "none"
        """Of the jail that workers are in now; never below `least` once there is one."""
        self.layers: tuple[protocol.Layer, ...] = ()
        self._group = group
        self._modules = tuple(modules)
        self._least = least
        self._on_start = on_start
        self._incarnation: _Incarnation | None = None
        self._starting = asyncio.Lock()
        self._room = asyncio.Semaphore(FORKS_AT_ONCE)
        self._number = 0
        self._stopping = False

    @property
    def pid(self) -> int | None:
        """Of the process that forks now."""
        return self._incarnation.process.pid if self._incarnation else None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Have a zygote; on exit it and every worker it forked are gone. Raises: JailTooWeak, WorkersUnavailable."""
        await self._ensure()
        try:
            yield
        finally:
            self._stopping = True
            if self._incarnation is not None:
                await asyncio.shield(self._stop(self._incarnation))

    async def fork(self, *, memory_max_bytes: int) -> Child:
        """A new worker, locked down and waiting for its workspace. Raises: WorkersUnavailable."""
        async with self._room:
            for _ in range(FORK_TRIES):
                try:
                    return await self._fork(await self._ensure(), memory_max_bytes)
                except ZygoteGone:
                    continue
        raise WorkersUnavailable("The process that starts workers ends as soon as it is started.")

    async def _fork(self, zygote: _Incarnation, memory_max_bytes: int) -> Child:
        self._number += 1
        number = self._number
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[tuple[int, int]] = loop.create_future()
        exited: asyncio.Future[int | None] = loop.create_future()
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            raise WorkersUnavailable(f"No worker can be started: {error.strerror}.") from error
        with theirs:
            ours.setblocking(False)
            zygote.forks[number] = answer
            zygote.exits[number] = exited
            try:
                packet = protocol.encode_packet(protocol.Fork(worker=number, memory_max_bytes=memory_max_bytes))
                socket.send_fds(zygote.control, [packet], [theirs.fileno()])
                # Shielded: a caller that leaves must not orphan a process that is being born.
                async with asyncio.timeout(FORK_TIMEOUT_S):
                    pid, pidfd = await asyncio.shield(answer)
            except BaseException as error:
                ours.close()
                answer.add_done_callback(_kill_unwanted)
                if isinstance(error, OSError):  # a TimeoutError is one, too
                    # It does not answer: it is gone, or must go.
                    zygote.forks.pop(number, None)
                    with contextlib.suppress(ProcessLookupError):
                        zygote.process.kill()
                    self._drop(zygote)
                    raise ZygoteGone from error
                raise
        return Child(pid=pid, pidfd=pidfd, connection=ours, exit_status=exited)

    async def _ensure(self) -> _Incarnation:
        async with self._starting:
            if self._incarnation is None:
                if self._stopping:
                    raise WorkersUnavailable("The service is going down.")
                self._incarnation = await self._start()
            return self._incarnation

    async def _start(self) -> _Incarnation:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        with theirs:
            command = (sys.executable, "-I", "-X", "utf8", "-m", ZYGOTE_MODULE, str(theirs.fileno()))
            process = await asyncio.create_subprocess_exec(
                *command, ",".join(self._modules),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={},  # tenant code must find nothing of the service's environment, in memory neither
                start_new_session=True,  # a terminal's Ctrl-C is for the service, which then ends the zygote
            )  # fmt: skip
        self._group.add(process.pid)
        zygote = _Incarnation(process, ours, loop.create_future())
        loop.add_reader(ours, self._read, zygote)
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                ready = await zygote.ready
        except (TimeoutError, ZygoteGone) as error:
            await self._stop(zygote)
            raise WorkersUnavailable("The process that starts workers did not come up.") from error
        missing = tuple(layer for layer in ready.layers if not layer.is_on)
        if not is_enough(ready.level, self._least):
            await self._stop(zygote)
            raise JailTooWeak(ready.level, self._least, [(layer.name, layer.detail, layer.grant) for layer in missing])
        self.level, self.layers = ready.level, tuple(ready.layers)
        self._on_start()
        _log.info("zygote started", pid=process.pid, jail=ready.level)
        for layer in missing:
            _log.warning("jail layer missing", layer=layer.name, reason=layer.detail, needs=layer.grant)
        return zygote

    async def _stop(self, zygote: _Incarnation) -> None:
        """End one zygote: it kills its workers when its control socket closes, and is killed if it does not end."""
        self._drop(zygote)
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await zygote.process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                zygote.process.kill()
            await zygote.process.wait()

    def _read(self, zygote: _Incarnation) -> None:
        try:
            packet, descriptors, _flags, _address = socket.recv_fds(zygote.control, protocol.ZYGOTE_FRAME_BYTES, 1)
        except BlockingIOError:
            return
        except OSError:
            packet, descriptors = b"", []
        if not packet:
            if not self._stopping:
                _log.warning("zygote lost", pid=zygote.process.pid)
            self._drop(zygote)
            return
        match protocol.decode_from_zygote(packet):
            case protocol.ZygoteReady() as ready:
                zygote.ready.set_result(ready)
            case protocol.Forked(worker=number, pid=pid):
                # It came inheritable, and uvloop's children inherit that: the next zygote would hold it for ever.
                os.set_inheritable(descriptors[0], False)
                zygote.forks.pop(number).set_result((pid, descriptors[0]))
            case protocol.NotForked(worker=number, reason=reason):
                zygote.exits.pop(number)
                zygote.forks.pop(number).set_exception(WorkersUnavailable(f"No worker can be started: {reason}."))
            case protocol.Exited(worker=number, status=status):
                exited = zygote.exits.pop(number, None)
                if exited is not None and not exited.done():
                    exited.set_result(status)

    def _drop(self, zygote: _Incarnation) -> None:
        """This process is not asked again; whoever waits for it is told."""
        if zygote.control.fileno() < 0:
            return
        asyncio.get_running_loop().remove_reader(zygote.control)
        zygote.control.close()
        if self._incarnation is zygote:
            self._incarnation = None
        waiters: list[asyncio.Future[Any]] = [zygote.ready, *zygote.forks.values()]
        for waiting in waiters:
            if not waiting.done():
                waiting.set_exception(ZygoteGone())
                waiting.exception()  # somebody may have stopped waiting; that is no error
        for exited in zygote.exits.values():
            if not exited.done():
                exited.set_result(None)


def _kill_unwanted(answer: "asyncio.Future[tuple[int, int]]") -> None:
    """The caller left before its worker was born."""
    if not answer.cancelled() and answer.exception() is None:
        _pid, pidfd = answer.result()
        _kill(pidfd)
        os.close(pidfd)


def _kill(pidfd: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
