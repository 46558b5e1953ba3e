"""What a worker may ask of the kernel: the allow-list, and nothing beside it.

A worker computes, waits on the one connection it was born with, and asks for memory. It opens nothing, names no file,
makes no socket, process or thread, signals nobody, and makes no memory executable. Whatever is not here gets EPERM, not
death, so that a library that only tries something goes on; `clone3` gets ENOSYS, so that libc reports it as any old
kernel would. Numbers: the kernel's syscall tables; why each is here: its comment.
"""

import errno
from typing import Final

from sandbox.jail.bpf import Check, Rule, assemble
from sandbox.jail.kernel import MACHINE

_PROT_EXEC: Final = 0x4
_MAP_KIND: Final = 0x2F | 0x100 | 0x40000  # shared, private or validated; anonymous; growing down; huge pages
_MAP_PRIVATE_ANONYMOUS: Final = 0x22
_MADVICE: Final = (4, 8, 14, 15)  # DONTNEED, FREE, HUGEPAGE, NOHUGEPAGE; not MERGEABLE, which shows others' pages
_FUTEX_COMMAND: Final = 0x7F
_FUTEX_WAIT_AND_WAKE: Final = (0, 1, 9, 10)  # nothing that hands over, requeues or inherits priority
_FIONBIO: Final = 0x5421
_OWN_CLOCKS: Final = (0, 1, 2, 3, 4, 5, 6, 7, 11)  # no negative number: those are the clocks of other processes
_ALL_BITS: Final = 0xFFFF_FFFF

_NOT_EXECUTABLE: Final = Check(2, _PROT_EXEC, (0,))
_OWN_CLOCK: Final = Check(0, _ALL_BITS, _OWN_CLOCKS)
_NO_FLAGS: Final = Check(3, _ALL_BITS, (0,))  # out-of-band data above all
_NO_ADDRESS: Final = Check(5, _ALL_BITS, (0,))

ALLOWED: Final[dict[str, tuple[Check, ...]]] = {
    # Most frequent first: what has no check is answered from a cache by kernels since 5.11, the rest costs a few ns.
    "recvfrom": (_NO_FLAGS,),  # the connection
    "sendto": (_NO_FLAGS, _NO_ADDRESS),
    "epoll_wait": (),  # the loop
    "epoll_pwait": (),
    "epoll_pwait2": (),
    "epoll_ctl": (),
    "poll": (),
    "ppoll": (),
    "read": (),  # the loop's own wakeup pair
    "write": (),
    "ioctl": (Check(1, _ALL_BITS, (_FIONBIO,)),),  # the connection waits or not
    "close": (),  # what is closed here cannot be opened again
    "setitimer": (),  # deadlines; a worker that takes its own alarm away is killed by the service
    "getitimer": (),
    "rt_sigaction": (),
    "rt_sigprocmask": (),
    "rt_sigreturn": (),
    "sigaltstack": (),
    "clock_gettime": (_OWN_CLOCK,),  # the vdso answers most of these
    "clock_getres": (_OWN_CLOCK,),
    "gettimeofday": (),
    "time": (),
    "times": (),
    "getrusage": (),
    "clock_nanosleep": (_OWN_CLOCK,),
    "nanosleep": (),
    "restart_syscall": (),
    "sched_yield": (),
    "getrandom": (),
    "brk": (),  # memory, up to the limit
    "mmap": (_NOT_EXECUTABLE, Check(3, _MAP_KIND, (_MAP_PRIVATE_ANONYMOUS,))),
    "mprotect": (_NOT_EXECUTABLE,),
    "mremap": (),
    "munmap": (),
    "madvise": (Check(2, _ALL_BITS, _MADVICE),),
    "futex": (Check(1, _FUTEX_COMMAND, _FUTEX_WAIT_AND_WAKE),),
    "getpid": (),  # libc takes it for granted that these cannot fail
    "getppid": (),
    "gettid": (),
    "getuid": (),
    "geteuid": (),
    "getgid": (),
    "getegid": (),
    "exit": (),
    "exit_group": (),
}

_ABSENT: Final = {"clone3": errno.ENOSYS}

# fmt: off
NUMBERS: Final[dict[str, dict[str, int]]] = {
    "x86_64": {
        "read": 0, "write": 1, "close": 3, "poll": 7, "mmap": 9, "mprotect": 10, "munmap": 11, "brk": 12,
        "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "ioctl": 16, "sched_yield": 24, "mremap": 25,
        "madvise": 28, "nanosleep": 35, "getitimer": 36, "setitimer": 38, "getpid": 39, "sendto": 44, "recvfrom": 45,
        "exit": 60, "gettimeofday": 96, "getrusage": 98, "times": 100, "getuid": 102, "getgid": 104, "geteuid": 107,
        "getegid": 108, "getppid": 110, "sigaltstack": 131, "gettid": 186, "time": 201, "futex": 202,
        "restart_syscall": 219, "clock_gettime": 228, "clock_getres": 229, "clock_nanosleep": 230, "exit_group": 231,
        "epoll_wait": 232, "epoll_ctl": 233, "ppoll": 271, "epoll_pwait": 281, "getrandom": 318, "clone3": 435,
        "epoll_pwait2": 441,
    },
    "aarch64": {
        "epoll_ctl": 21, "epoll_pwait": 22, "ioctl": 29, "close": 57, "read": 63, "write": 64, "ppoll": 73, "exit": 93,
        "exit_group": 94, "futex": 98, "nanosleep": 101, "getitimer": 102, "setitimer": 103, "clock_gettime": 113,
        "clock_getres": 114, "clock_nanosleep": 115, "sched_yield": 124, "restart_syscall": 128, "sigaltstack": 132,
        "rt_sigaction": 134, "rt_sigprocmask": 135, "rt_sigreturn": 139, "times": 153, "getrusage": 165,
        "gettimeofday": 169, "getpid": 172, "getppid": 173, "getuid": 174, "geteuid": 175, "getgid": 176,
        "getegid": 177, "gettid": 178, "sendto": 206, "recvfrom": 207, "brk": 214, "munmap": 215, "mremap": 216,
        "mmap": 222, "mprotect": 226, "madvise": 233, "getrandom": 278, "clone3": 435, "epoll_pwait2": 441,
    },
}
# fmt: on
"""Of every call in the list, where the machine has it."""

ARCHITECTURES: Final = {"x86_64": 0xC000_003E, "aarch64": 0xC000_00B7}
"""`AUDIT_ARCH_…` of linux/audit.h."""

X32_BIT: Final = 0x4000_0000
"""On x86_64, calls of the x32 ABI begin here."""


def worker_filter() -> bytes | None:
    """The filter of every worker, or None on a machine whose numbers are not known."""
    if MACHINE not in NUMBERS:
        return None
    return assemble(ARCHITECTURES[MACHINE], rules(MACHINE), foreign_from=X32_BIT if MACHINE == "x86_64" else None)


def rules(machine: str) -> list[Rule]:
    """The list in numbers."""
    numbers = NUMBERS[machine]
    return [
        *(Rule(numbers[name], checks) for name, checks in ALLOWED.items() if name in numbers),
        *(Rule(numbers[name], error=error) for name, error in _ABSENT.items()),
    ]
