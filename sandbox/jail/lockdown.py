"""What a fresh worker gives up before it reads its first byte: an ordered list, one step a function.

Each step says what it takes away. Any that fails ends the worker: it fails closed. Between the steps and the last one
the worker makes its event loop, since afterwards it could not. Sources: setpgid(2), setresuid(2), capabilities(7),
getrlimit(2), sched_setattr(2), prctl(2), landlock(7), seccomp(2).
"""

import contextlib
import fcntl
import os
import resource
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sandbox.jail import kernel
from sandbox.jail.identities import Identities

CONNECTION_FD: Final = 3
"""Where a worker finds its connection to the service; the only descriptor above standard error."""
PROCESS_NAME: Final = b"skep-worker"

_RULESET_FD: Final = 4
_DESCRIPTORS_MAX: Final = 8
"""Standard input, output and error, the connection, the loop's three, and one for the way there."""
_NICE: Final = 10
_SLICE_NS: Final = 100_000
"""The shortest there is."""
_NO_CORE_NOT_EVEN_TO_A_PIPE: Final = 1  # core(5): with 0 a program that takes dumps is still started


@dataclass(frozen=True, slots=True)
class Plan:
    """What every worker of this zygote is locked in with. What is None, this machine does not have."""

    null_fd: int
    identities: Identities | None
    ruleset_fd: int | None
    """Of Landlock."""
    system_calls: bytes | None
    """The seccomp filter, assembled."""
    has_init: bool
    """Whether a process 1 of its own ends every worker when the service ends."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One worker that is being locked in."""

    plan: Plan
    zygote_pid: int
    number: int
    connection_fd: int
    address_space_max_bytes: int


Step = Callable[[Cell], None]


def leave_group(_cell: Cell) -> None:
    """Takes away the zygote's process group. The session stays: where the scheduler shares time between sessions, all
    workers together are one, beside the service's.
    """
    os.setpgid(0, 0)
    kernel.prctl(kernel.PR_SET_NAME, PROCESS_NAME)


def reset_signals(_cell: Cell) -> None:
    """Takes away the zygote's handlers and its wakeup descriptor."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)


def empty_environment(_cell: Cell) -> None:
    """Takes away every environment variable, whatever the zygote was started with."""
    os.environ.clear()


def close_descriptors(cell: Cell) -> None:
    """Takes away every descriptor but the connection; standard input, output and error lead to /dev/null."""
    # Moved high first: what is needed may itself sit where something else belongs.
    high = _RULESET_FD + 1
    wanted = [cell.plan.null_fd] * CONNECTION_FD + [cell.connection_fd]
    if cell.plan.ruleset_fd is not None:
        wanted.append(cell.plan.ruleset_fd)
    moved = [_move_above(fd, high) for fd in wanted]
    for place, fd in enumerate(moved):
        os.dup2(fd, place, inheritable=False)
    os.closerange(len(moved), resource.getrlimit(resource.RLIMIT_NOFILE)[1])


def take_own_identity(cell: Cell) -> None:
    """Takes away the zygote's user and groups. What the worker gets instead owns nothing, and nobody else has it."""
    if cell.plan.identities is not None:
        own = cell.plan.identities.of(cell.number)
        os.setgroups([])
        os.setresgid(own, own, own)
        os.setresuid(own, own, own)


def be_nobodys_to_look_at(_cell: Cell) -> None:
    """Takes away core dumps, which the system may hand to a program outside, and the sight that others of the same user
    have of this process's memory.
    """
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)


def die_with_the_zygote(cell: Cell) -> None:
    """Takes away a life after the zygote's, where no process 1 sees to it that it ends with the service's.

    After the change of id, which would undo it.
    """
    if not cell.plan.has_init:
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != cell.zygote_pid:
            raise ProcessLookupError("the zygote is gone already")


def drop_capabilities(_cell: Cell) -> None:
    """Takes away every capability, those over the zygote's namespaces included."""
    kernel.drop_capabilities()


def forbid_new_privileges(_cell: Cell) -> None:
    """Takes away set-user-id programs and file capabilities, for good."""
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)


def yield_to_others(_cell: Cell) -> None:
    """Takes away the claim to as much of the processor as the service has, and to keep it while others wake up. Neither
    can be had back.

    Without short slices a worker that computes keeps the one that was just asked waiting to the scheduler's next tick.
    """
    os.setpriority(os.PRIO_PROCESS, 0, _NICE)
    with contextlib.suppress(OSError, KeyError):  # manners, and no promise: a container may not have this call
        kernel.set_share(_NICE, slice_ns=_SLICE_NS)


def limit_resources(cell: Cell) -> None:
    """Takes away memory beyond the limit, other processes and threads, files that grow, further descriptors, locked
    memory, message queues, realtime priorities and core dumps.

    Soft and hard limits are the same: what a worker gave up it cannot raise again.
    """
    for kind, limit in (
        (resource.RLIMIT_AS, cell.address_space_max_bytes),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, _DESCRIPTORS_MAX),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_RTPRIO, 0),
        (resource.RLIMIT_NICE, 0),
        (resource.RLIMIT_CORE, _NO_CORE_NOT_EVEN_TO_A_PIPE),
    ):
        resource.setrlimit(kind, (limit, limit))


def forbid_files(cell: Cell) -> None:
    """Takes away every file, and where Landlock knows how, ports, abstract sockets and signals to others."""
    if cell.plan.ruleset_fd is not None:
        kernel.landlock_restrict_self(_RULESET_FD)
        os.close(_RULESET_FD)


def forbid_system_calls(cell: Cell) -> None:
    """Takes away every system call that is not on the list: see `system_calls`."""
    if cell.plan.system_calls is not None:
        kernel.seccomp_filter(cell.plan.system_calls)


STEPS: Final[tuple[Step, ...]] = (
    leave_group,
    reset_signals,
    empty_environment,
    close_descriptors,
    take_own_identity,
    be_nobodys_to_look_at,
    die_with_the_zygote,
    drop_capabilities,
    forbid_new_privileges,
    yield_to_others,
    limit_resources,
    forbid_files,
)
"""In this order: ids can be changed only with capabilities, Landlock and seccomp want `no_new_privs` first."""

LAST_STEP: Final[Step] = forbid_system_calls


def lock_down(cell: Cell) -> None:
    """Everything but the last step. Raises: OSError from the step that the system refused."""
    for step in STEPS:
        step(cell)


def _move_above(fd: int, least: int) -> int:
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, least)
