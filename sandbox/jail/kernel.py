"""System calls that Python does not offer, bound once: a locked worker could load no library to look for them.

Each raises OSError with the kernel's reason. Sources: mount(2), pivot_root(2), unshare(2), capset(2), prctl(2),
landlock(7), sched_setattr(2), seccomp(2).
"""

import ctypes
import os
import struct
from typing import Final

CLONE_NEWNS: Final = 0x0002_0000
CLONE_NEWUTS: Final = 0x0400_0000
CLONE_NEWIPC: Final = 0x0800_0000
CLONE_NEWUSER: Final = 0x1000_0000
CLONE_NEWPID: Final = 0x2000_0000
CLONE_NEWNET: Final = 0x4000_0000

MS_RDONLY: Final = 0x1
MS_NOSUID: Final = 0x2
MS_NODEV: Final = 0x4
MS_NOEXEC: Final = 0x8
MS_REC: Final = 0x4000
MS_PRIVATE: Final = 0x4_0000
MNT_DETACH: Final = 0x2

PR_SET_PDEATHSIG: Final = 1
PR_SET_DUMPABLE: Final = 4
PR_SET_NAME: Final = 15
PR_CAPBSET_DROP: Final = 24
PR_SET_NO_NEW_PRIVS: Final = 38
PR_CAP_AMBIENT: Final = 47
PR_CAP_AMBIENT_CLEAR_ALL: Final = 4

CAP_KILL: Final = 5
CAP_SETGID: Final = 6
CAP_SETUID: Final = 7
CAP_SYS_ADMIN: Final = 21

_CAPABILITY_VERSION_3: Final = 0x2008_0522
_LANDLOCK_CREATE_RULESET_VERSION: Final = 1
_SECCOMP_SET_MODE_FILTER: Final = 1

_NUMBERS: Final = {
    "x86_64": {"capget": 125, "capset": 126, "pivot_root": 155, "sched_setattr": 314, "seccomp": 317},
    "aarch64": {"capget": 90, "capset": 91, "pivot_root": 41, "sched_setattr": 274, "seccomp": 277},
}
_LANDLOCK_CREATE_RULESET: Final = 444  # the same number everywhere, as for every call since 2019
_LANDLOCK_RESTRICT_SELF: Final = 446

MACHINE: Final = os.uname().machine
"""Of the kernel, as uname(2) names it."""

_SCHED_ATTRIBUTES: Final = struct.Struct("=IIQiIQQQ")
"""size, policy (0 is the ordinary one), flags, nice, priority, runtime, deadline, period."""

_libc: Final = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class _CapabilityHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]  # ctypes wants it so


class _SocketFilterProgram(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]  # as above


def is_known_machine() -> bool:
    """Whether the numbers of this machine's system calls are known here."""
    return MACHINE in _NUMBERS


def unshare(flags: int) -> None:
    """Leave the namespaces that the flags name for new ones. Raises: OSError."""
    _check(_libc.unshare(flags))


def mount(source: str, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    """Raises: OSError."""
    _check(_libc.mount(source.encode(), target.encode(), _text(kind), ctypes.c_ulong(flags), _text(options)))


def unmount(target: str, flags: int) -> None:
    """Raises: OSError."""
    _check(_libc.umount2(target.encode(), flags))


def pivot_root(new: str, old: str) -> None:
    """Raises: OSError."""
    _syscall("pivot_root", new.encode(), old.encode())


def prctl(option: int, argument: int | bytes = 0, second: int = 0) -> None:
    """Raises: OSError."""
    first = argument if isinstance(argument, bytes) else ctypes.c_ulong(argument)
    _check(_libc.prctl(option, first, ctypes.c_ulong(second), ctypes.c_ulong(0), ctypes.c_ulong(0)))


def effective_capabilities() -> frozenset[int]:
    """Numbers of the capabilities this process has, in its own user namespace. Raises: OSError."""
    sets = (ctypes.c_uint32 * 6)()
    _syscall("capget", ctypes.byref(_CapabilityHeader(_CAPABILITY_VERSION_3, 0)), sets)
    mask = sets[0] | sets[3] << 32
    return frozenset(number for number in range(64) if mask >> number & 1)


def drop_capabilities() -> None:
    """Give up the effective, permitted, inheritable and ambient capabilities. Raises: OSError."""
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    sets = (ctypes.c_uint32 * 6)()
    _syscall("capset", ctypes.byref(_CapabilityHeader(_CAPABILITY_VERSION_3, 0)), sets)


def landlock_version() -> int:
    """The version of Landlock's interface. Raises: OSError where the kernel has none or it is switched off."""
    return _check(_libc.syscall(_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), _LANDLOCK_CREATE_RULESET_VERSION))


def landlock_ruleset(attributes: bytes) -> int:
    """A descriptor of a new ruleset; `attributes` is a `struct landlock_ruleset_attr`. Raises: OSError."""
    return _check(_libc.syscall(_LANDLOCK_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0))


def landlock_restrict_self(ruleset_fd: int) -> None:
    """Raises: OSError."""
    _check(_libc.syscall(_LANDLOCK_RESTRICT_SELF, ruleset_fd, 0))


def set_share(nice: int, *, slice_ns: int) -> None:
    """Have a nice value, and ask for slices of this length, which kernels before 6.12 ignore. Raises: OSError."""
    attributes = _SCHED_ATTRIBUTES.pack(_SCHED_ATTRIBUTES.size, 0, 0, nice, 0, slice_ns, 0, 0)
    _syscall("sched_setattr", 0, attributes, 0)


def seccomp_filter(program: bytes) -> None:
    """Install a filter for this thread; `program` is an array of `struct sock_filter`. Raises: OSError."""
    whole = _SocketFilterProgram(len(program) // 8, program)
    _syscall("seccomp", _SECCOMP_SET_MODE_FILTER, 0, ctypes.byref(whole))


def _syscall(name: str, *arguments: object) -> int:
    return _check(_libc.syscall(_NUMBERS[MACHINE][name], *arguments))


def _check(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def _text(text: str | None) -> bytes | None:
    return None if text is None else text.encode()
