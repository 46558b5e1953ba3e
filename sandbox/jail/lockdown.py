"""What a fresh worker gives up before it reads its first byte. Any step that fails ends the worker: it fails closed.

Sources: setsid(2), close_range(2), getrlimit(2), prctl(2).
"""

import ctypes
import os
import resource
import signal
from typing import Final

CONNECTION_FD: Final = 3
"""Where a worker finds its connection to the service; the only descriptor above standard error."""

_PR_SET_NO_NEW_PRIVS: Final = 38
_DESCRIPTORS_MAX: Final = 64

# Bound before any fork: the child must not have to load a library after its address space is limited.
_prctl: Final = ctypes.CDLL(None, use_errno=True).prctl


def lock_down(connection_fd: int, *, address_space_max_bytes: int) -> None:
    """Apply every step, in order. Raises: OSError from the step that the system refused."""
    leave_session()
    reset_signals()
    empty_environment()
    close_descriptors(connection_fd)
    limit_resources(address_space_max_bytes)
    forbid_new_privileges()


def leave_session() -> None:
    """Takes away the zygote's session and process group: signals to a group no longer cross between workers.

    Does not contain code that calls setsid itself; it only means that nobody else is in this group.
    """
    os.setsid()


def reset_signals() -> None:
    """Takes away the zygote's handlers and its wakeup descriptor."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)


def empty_environment() -> None:
    """Takes away every environment variable, whatever the zygote was started with."""
    os.environ.clear()


def close_descriptors(connection_fd: int) -> None:
    """Takes away every descriptor but the connection; standard input, output and error lead to /dev/null."""
    # The connection may itself sit on 0..3, so it is first moved out of the way.
    moved = os.dup(connection_fd)
    if moved <= CONNECTION_FD:
        moved = os.dup2(moved, CONNECTION_FD + 1)
    null = os.open(os.devnull, os.O_RDWR)
    for standard in range(CONNECTION_FD):
        os.dup2(null, standard)
    os.dup2(moved, CONNECTION_FD, inheritable=False)
    os.closerange(CONNECTION_FD + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[1])


def limit_resources(address_space_max_bytes: int) -> None:
    """Takes away memory beyond the limit, files that grow, many descriptors, locked memory and core dumps.

    Soft and hard limits are the same: what a worker gave up it cannot raise again.
    """
    for kind, limit in (
        (resource.RLIMIT_AS, address_space_max_bytes),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, _DESCRIPTORS_MAX),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (limit, limit))


def forbid_new_privileges() -> None:
    """Takes away set-user-id programs and file capabilities, for good."""
    if _prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
