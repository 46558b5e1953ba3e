"""The zygote leaves the machine: its own processes, mounts, network, IPC and host name, and under them an empty root.

Entered once; workers are born inside and pay nothing for it. Each namespace takes away what its name says: there is no
other process to signal or trace, no file or device to open, no address to reach, no System V object, no host name.
Sources: namespaces(7), user_namespaces(7), pivot_root(2).
"""

import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sandbox.jail import kernel
from sandbox.jail.identities import Granted

NAMES: Final = "mount, pid, net, ipc, uts"
_FLAGS: Final = (
    kernel.CLONE_NEWNS | kernel.CLONE_NEWPID | kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS
)
_HOST_NAME: Final = "worker"
_MOUNT_POINT: Final = "/proc"
"""Any folder that is on every machine will do: what is mounted over it is seen by nobody else."""


def enter() -> None:
    """Enter with the privileges this process has. Children are inside, the process itself keeps its pid.

    Raises: OSError; some of it may then have happened, so try it in a process that can be thrown away.
    """
    kernel.unshare(_FLAGS)
    _furnish()


def enter_as_user(granted: Granted | None = None) -> None:
    """Enter by way of a new user namespace, which needs no privileges. Only this process's own user and group exist in
    it, and the ids that were granted. Raises: OSError, as `enter`.
    """
    user, group = os.getuid(), os.getgid()
    # Forked before, since only a process outside of the new namespace may write such a map.
    map_ids = _map_only_self if granted is None else _mapper(granted, user, group)
    kernel.unshare(kernel.CLONE_NEWUSER | _FLAGS)
    map_ids(user, group)
    _furnish()


def _furnish() -> None:
    _set_host_name()
    _empty_the_root()


def _set_host_name() -> None:
    """Takes away the machine's name."""
    socket.sethostname(_HOST_NAME)


def _empty_the_root() -> None:
    """Takes away every file: the root becomes a folder with nothing in it and nowhere to write."""
    # First, or what happens here would happen outside too.
    kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    flags = kernel.MS_RDONLY | kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    kernel.mount("empty", _MOUNT_POINT, "tmpfs", flags, "size=4k,nr_inodes=2,mode=0555")
    os.chdir(_MOUNT_POINT)
    # The old root is put on top of the new one and taken off: no folder is needed for it.
    kernel.pivot_root(".", ".")
    kernel.unmount(".", kernel.MNT_DETACH)
    os.chdir("/")


def _map_only_self(user: int, group: int) -> None:
    # Without it a process could leave a group that a file's mode excludes; the kernel asks for it first.
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def _mapper(granted: Granted, user: int, group: int) -> Callable[[int, int], None]:
    """A process that stays outside and writes the maps of this one when the returned function is called."""
    asked, ask = os.pipe()
    target = os.getpid()
    child = os.fork()
    if child == 0:
        os.close(ask)
        status = 1
        try:
            os.read(asked, 1)
            inside, count = granted.identities.first, granted.identities.count
            # A privileged user needs no number inside, and root's would take one more capability to map.
            own = [[], []] if granted.programs is None else [[user, user, 1], [group, group, 1]]
            _write_map("uid_map", target, granted, [*own[0], inside, granted.users[0], count])
            _write_map("gid_map", target, granted, [*own[1], inside, granted.groups[0], count])
            status = 0
        finally:
            os._exit(status)
    os.close(asked)

    def map_ids(_user: int, _group: int) -> None:
        os.close(ask)
        _pid, status = os.waitpid(child, 0)
        if status != 0:
            raise PermissionError("the granted ids could not be mapped")

    return map_ids


def _write_map(name: str, target: int, granted: Granted, numbers: list[int]) -> None:
    if granted.programs is not None:
        program = granted.programs[name == "gid_map"]
        command = [program, str(target), *map(str, numbers)]
        subprocess.run(command, check=True, capture_output=True, env={})  # noqa: S603  # an absolute path, and numbers
        return
    lines = "".join("{} {} {}\n".format(*numbers[at : at + 3]) for at in range(0, len(numbers), 3))
    Path(f"/proc/{target}/{name}").write_text(lines)
