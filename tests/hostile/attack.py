"""What native programs are made of: raw system calls, the reply connection, their own memory.

Imported by the zygote of tests before it forks, so that programs find it without a file. The measure of the jail is
`got_through`: an attempt counts as stopped only when the kernel refused to look at it. So every attempt is written to
be harmless if it is let through, mostly by arguments that no kernel takes, and `EINVAL` is a finding like a success.
"""

import contextlib
import ctypes
import errno
import mmap
import os
import platform
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from sandbox import protocol
from sandbox.runs import RUNNING

CONNECTION: Final = 3
"""The descriptor that leads to the service."""
REFUSED: Final = frozenset({"EPERM", "EACCES", "ENOSYS"})
"""How a call is refused before anything of it is done."""
PAGE_BYTES: Final = 4096
PIECE_BYTES: Final = 1 << 20
BAD: Final = -1
"""No descriptor, no length, no address."""

AT_FDCWD: Final = -100
CLONE_FLAGS: Final = {
    "files": 0x400, "fs": 0x200, "newtime": 0x80, "newcgroup": 0x02000000, "newuts": 0x04000000,
    "newipc": 0x08000000, "newuser": 0x10000000, "newpid": 0x20000000, "newnet": 0x40000000, "newns": 0x00020000,
    "sysvsem": 0x00040000,
}  # fmt: skip

NEEDED: Final = frozenset(
    [
        "read", "write", "recvfrom", "sendto", "epoll_wait", "epoll_pwait", "epoll_pwait2", "epoll_ctl", "poll",
        "ppoll", "close", "ioctl", "brk", "mmap", "munmap", "mremap", "mprotect", "madvise", "rt_sigaction",
        "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "setitimer", "getitimer", "clock_gettime", "clock_getres",
        "gettimeofday", "time", "clock_nanosleep", "nanosleep", "restart_syscall", "getrandom", "futex", "sched_yield",
        "getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid", "times", "getrusage", "exit",
        "exit_group",
    ]
)  # fmt: skip
"""What a worker lives on; nothing else is there for it."""
PROBES: Final = frozenset({"uretprobe", "uprobe"})
"""Not asked of any filter since Linux 6.14: they end whoever makes them outside of a probe."""

_COLUMN: Final = {"x86_64": 1, "aarch64": 2}[platform.machine()]


def _numbers() -> dict[str, int]:
    lines = Path(__file__).with_name("system_calls.txt").read_text().splitlines()
    rows = [line.split() for line in lines if not line.startswith("#")]
    return {row[0]: int(row[_COLUMN]) for row in rows if row[_COLUMN] != "-"}


NUMBERS: Final = _numbers()
"""System calls of this machine, by name."""

libc: Final = ctypes.CDLL(None, use_errno=True)
# Bound now, while a library can still be asked for its symbols.
_syscall: Final = libc.syscall
_syscall.restype = ctypes.c_long
_kept: list[object] = []


def syscall(name: str | int, *args: Any) -> int | str:
    """Make one system call. Returns its value, or the name of its error; a call this machine has not is `ENOSYS`."""
    number = name if isinstance(name, int) else NUMBERS.get(name)
    if number is None:
        return "ENOSYS"
    ctypes.set_errno(0)
    value: int = _syscall(ctypes.c_long(number), *(_word(argument) for argument in args))
    code = ctypes.get_errno()
    return errno.errorcode.get(code, str(code)) if value == -1 and code else value


def _word(argument: Any) -> Any:
    if isinstance(argument, int):
        return ctypes.c_long(argument)
    if isinstance(argument, str):
        argument = argument.encode()
    if isinstance(argument, bytes):
        return ctypes.c_char_p(argument)
    return argument


def buffer(data: int | bytes = 4096) -> "ctypes.Array[ctypes.c_char]":
    """Memory that stays where it is: zeroes, or these bytes."""
    made = ctypes.create_string_buffer(data, data if isinstance(data, int) else len(data))
    _kept.append(made)
    return made


def got_through(*calls: tuple[Any, ...]) -> list[str]:
    """Make these system calls, each a tuple of its name and arguments. Returns those that were not refused."""
    found = []
    for name, *args in calls:
        outcome = syscall(name, *args)
        if outcome not in REFUSED:
            found.append(f"{name}({', '.join(map(_shown, args))}): {outcome}")
    return found


def succeeded(attempts: Mapping[str, Callable[[], object]]) -> list[str]:
    """Call each of these. Returns the names of those that did not end in PermissionError, and how they ended."""
    found = []
    for name, attempt in attempts.items():
        try:
            outcome: object = attempt()
        except OSError as error:
            if errno.errorcode.get(error.errno or 0) in REFUSED:
                continue
            outcome = repr(error)
        except BaseException as error:  # noqa: BLE001  # whatever it is, it was not the refusal
            outcome = repr(error)
        found.append(f"{name}: {str(outcome)[:100]}")
    return found


def _shown(argument: object) -> str:
    text = repr(argument)
    return text if len(text) < 40 else f"{text[:40]}…"


def run_number() -> int:
    """The number of the run this is, on its connection."""
    assert RUNNING.run is not None
    return RUNNING.run.number


def frame(value: object) -> bytes:
    """A frame of any value, whether it is a message or not."""
    body = value if isinstance(value, bytes) else protocol.codec._encoder.encode(value)
    return struct.pack("!I", len(body)) + body


def entry(message: str = "forged") -> bytes:
    """A log entry as the service takes it."""
    return b'{"time":"2026-01-01T00:00:00Z","level":"info","message":"%b"}' % message.encode()


def send(data: bytes, *, seconds: float = 5.0) -> int:
    """Write to the service behind the worker's back, for so many seconds at the most. Returns how much."""
    sent, until = 0, time.monotonic() + seconds
    view = memoryview(data)
    while sent < len(data) and time.monotonic() < until:
        try:
            sent += os.write(CONNECTION, view[sent : sent + 1_000_000])
        except BlockingIOError:
            time.sleep(0.0005)
    return sent


def answer(run: int, result: bytes = b'"forged"', duration_us: Any = 1) -> bytes:
    """An answer as the service takes it."""
    return frame(["returned", run, result, duration_us])


class Memory:
    """This process's own memory, found without asking the system where it is."""

    def __init__(self, *, bytes_max: int) -> None:
        self._left = bytes_max
        self._seen: set[int] = set()

    def around(self, address: int) -> Iterator[bytes]:
        """What is mapped around there, from hole to hole, in pieces that overlap by a page; nothing twice."""
        first = last = address & -PAGE_BYTES
        while self._is_new(first - PAGE_BYTES):
            first -= PAGE_BYTES
        while self._is_new(last):
            last += PAGE_BYTES
        for start in range(first, last, PIECE_BYTES):
            pages = range(start, min(start + PIECE_BYTES + PAGE_BYTES, last), PAGE_BYTES)
            # Asked again: what was read before may have been there, and is given back by now.
            yield b"".join([ctypes.string_at(page, PAGE_BYTES) for page in pages if _readable(page)])

    def _is_new(self, page: int) -> bool:
        if page in self._seen or self._left <= 0 or not _readable(page):
            return False
        self._seen.add(page)
        self._left -= PAGE_BYTES
        return True


def _readable(address: int) -> bool:
    """Asked of a system call that reads eight bytes and then refuses."""
    return syscall("rt_sigprocmask", 99, address, 0, 8) != "EFAULT"


def calls_of_32_bits(*numbers: int) -> list[tuple[int, int]]:
    """Make these calls of i386, without arguments. Returns those that were not refused, with what came back."""
    if _int_80 is None:
        return []
    refused = {-errno.EPERM, -errno.EACCES, -errno.ENOSYS}
    return [(number, value) for number in numbers if (value := _int_80(number)) not in refused]


def _open_int_80() -> Callable[[int], int] | None:
    """A function that makes a system call of 32 bits. None where the processor or the kernel has none.

    It lies in a page that is made executable before there is a jail: the question is what the filter says of it.
    """
    if platform.machine() != "x86_64":
        return None
    page = mmap.mmap(-1, PAGE_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=7)
    # push rbx; mov eax, edi; xor ebx, ebx; xor ecx, ecx; xor edx, edx; int 0x80; pop rbx; ret
    page.write(bytes.fromhex("53 89f8 31db 31c9 31d2 cd80 5b c3"))
    call = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    _kept.append(page)
    child = os.fork()
    if child == 0:
        os._exit(0 if call(20) == os.getpid() else 1)
    return call if os.waitpid(child, 0)[1] == 0 else None


_int_80: Final = _open_int_80()


@contextlib.contextmanager
def connection() -> Iterator[socket.socket]:
    """The connection as a socket object of one's own; it stays open."""
    # With a family given, Python does not ask the kernel for it.
    own = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=CONNECTION)
    try:
        yield own
    finally:
        own.detach()
