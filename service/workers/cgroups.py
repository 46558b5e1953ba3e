"""A control group around the workers, where the service may make one: version 1 and 2.

It holds the zygote and every worker. Together they have half the weight of the service on the processor; together they
have less than all the memory, so that when it runs out the kernel ends a worker and never the service; and there is a
bound on processes. What a single worker may have is limited without it: a group for each would make the kernel wait,
up to ten milliseconds, for every one that starts.

Source: the kernel's admin-guide, cgroup-v1 and cgroup-v2; systemd's "Control Group APIs and Delegation".
"""

import asyncio
import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

CONTROLLERS: Final = ("memory", "cpu", "pids")
MEMORY_SHARE: Final = 7 / 8
"""Of what there is, so much is for workers together."""
CLOSE_TRIES: Final = 100
CLOSE_WAIT_S: Final = 0.01

_NAME: Final = "skep-{}"
_NAMES: Final = re.compile(r"skep-(\d+)")
_WORKERS: Final = "workers"
_SERVICE: Final = "service"

_log = structlog.get_logger()


class NoControlGroups(Exception):
    """They cannot be used here, and why."""


@dataclass(frozen=True, slots=True)
class Version:
    """How one version of the interface names and weighs things."""

    memory_max: str
    weight: str
    half: str
    """Half of what everybody has who was given nothing."""


V1: Final = Version("memory.limit_in_bytes", "cpu.shares", "512")
V2: Final = Version("memory.max", "cpu.weight", "50")


@dataclass(frozen=True, slots=True)
class Place:
    """Where this process stands: by controller the folder of its group, one and the same in version 2."""

    version: Version
    folders: dict[str, Path]
    is_top: bool
    """Whether it is the topmost that can be seen from here: in a container, the one that was made for it."""


def find_place(*, mounts: str, membership: str) -> Place:
    """From the texts of /proc/self/mountinfo and /proc/self/cgroup. Raises: NoControlGroups."""
    paths: dict[str, str] = {}
    for line in membership.splitlines():
        _number, controllers, path = line.split(":", 2)
        paths.update(dict.fromkeys(controllers.split(","), path))
    v1: dict[str, Path] = {}
    v2: Path | None = None
    for line in mounts.splitlines():
        own, _, kind_and_options = line.partition(" - ")
        kind, _source, options = kind_and_options.split(" ", 2)
        root, mounted = own.split(" ")[3:5]
        if kind == "cgroup2" and "" in paths:
            v2 = _under(mounted, root, paths[""])
        elif kind == "cgroup":
            for controller in set(CONTROLLERS) & set(options.split(",")) & paths.keys():
                v1[controller] = _under(mounted, root, paths[controller])
    if v1.keys() == set(CONTROLLERS):
        return Place(V1, v1, is_top=False)
    if v2 is not None and not v1:
        return Place(V2, dict.fromkeys(CONTROLLERS, v2), is_top=paths[""] == "/")
    raise NoControlGroups("no hierarchy with memory, cpu and pids is mounted")


def _under(mounted: str, root: str, path: str) -> Path:
    return Path(mounted) / os.path.relpath(path, root)


class ControlGroup:
    """The group of one service's workers. Every method is without effect where `problem` says why there is none."""

    def __init__(self, *, workers_max: int) -> None:
        self.problem = "not opened"
        """Why there is no group; empty if there is."""
        self._workers_max = workers_max
        self._groups: set[Path] = set()
        """One and the same for every controller in version 2."""
        self._made: list[Path] = []

    def open(self) -> None:
        """Make the group. What keeps it from that is in `problem`."""
        try:
            membership = Path("/proc/self/cgroup").read_text()
            self.make(find_place(mounts=Path("/proc/self/mountinfo").read_text(), membership=membership))
        except (OSError, NoControlGroups) as error:
            self._remove()
            self.problem = str(error)
        else:
            self.problem = ""

    async def close(self) -> None:
        """Take the group away. What was in it must have been killed; its end is waited for, though not for ever."""
        for _ in range(CLOSE_TRIES):
            if self._remove():
                break
            await asyncio.sleep(CLOSE_WAIT_S)

    def add(self, zygote_pid: int) -> None:
        """From now on this process, and what it forks, is in the group."""
        for group in self._groups:
            try:
                (group / "cgroup.procs").write_text(str(zygote_pid))
            except OSError as error:
                # Every limit that a worker has for itself holds without it.
                _log.warning("outside its control group", pid=zygote_pid, reason=error.strerror)

    def make(self, place: Place) -> None:
        """Make the group there. Raises: OSError, NoControlGroups; some folders may then have been made."""
        version = place.version
        for folder in set(place.folders.values()):
            _sweep(folder)
            own = folder / _NAME.format(os.getpid())
            own.mkdir()
            self._made.append(own)
            if version is V2:
                _delegate(folder, own, is_top=place.is_top)
            (own / _WORKERS).mkdir()
        groups = {name: folder / _NAME.format(os.getpid()) / _WORKERS for name, folder in place.folders.items()}
        (groups["cpu"] / version.weight).write_text(version.half)
        (groups["memory"] / version.memory_max).write_text(str(_memory_for_workers(place)))
        # The zygote, process 1 of the workers, and what is ending while its successor starts.
        (groups["pids"] / "pids.max").write_text(str(2 * self._workers_max + 16))
        self._groups = set(groups.values())

    def _remove(self) -> bool:
        """Returns whether nothing is left that could be removed: version 2 leaves this process itself in one."""
        for own in self._made:
            _remove(own)
        self._groups = set()
        return not any((own / _WORKERS).exists() for own in self._made)


def _memory_for_workers(place: Place) -> int:
    """Bytes, from what the machine and the groups above give."""
    match = re.search(r"^MemTotal: +(\d+) kB$", Path("/proc/meminfo").read_text(), re.MULTILINE)
    limits = [int(match[1]) * 1024] if match is not None else []
    with contextlib.suppress(OSError, ValueError):  # version 2 says "max" for no limit, and its root has no such file
        limits.append(int((place.folders["memory"] / place.version.memory_max).read_text()))
    if not limits:
        raise NoControlGroups("the machine does not say how much memory it has")
    return int(min(limits) * MEMORY_SHARE)


def _delegate(folder: Path, own: Path, *, is_top: bool) -> None:
    """Version 2: hand the controllers down. A group that does so may hold no processes, so those in it move aside, and
    that is only done where the whole group was given to us. Raises: OSError, NoControlGroups.
    """
    wanted = " ".join(f"+{controller}" for controller in CONTROLLERS)
    missing = set(CONTROLLERS) - set((folder / "cgroup.controllers").read_text().split())
    if missing:
        raise NoControlGroups(f"this group has no controller for {', '.join(sorted(missing))}")
    is_machine_root = not (folder / "cgroup.events").exists()
    if not is_machine_root:
        if not is_top and not _is_delegated(folder):
            raise NoControlGroups("this group was not delegated to the service (systemd: Delegate=yes)")
        aside = own / _SERVICE
        aside.mkdir()
        for pid in (folder / "cgroup.procs").read_text().split():
            (aside / "cgroup.procs").write_text(pid)
    (folder / "cgroup.subtree_control").write_text(wanted)
    (own / "cgroup.subtree_control").write_text(wanted)


def _is_delegated(folder: Path) -> bool:
    """Whether systemd says that the group is for us."""
    with contextlib.suppress(OSError):
        return os.getxattr(folder, "user.delegate") == b"1"
    return False


def _sweep(folder: Path) -> None:
    """Remove what services left that could not clean up."""
    for group in folder.iterdir():
        match = _NAMES.fullmatch(group.name)
        if match is not None and not Path("/proc", match[1]).exists():
            _remove(group)


def _remove(group: Path) -> None:
    """A group and the groups in it, as far as they are empty; their files go with them."""
    for path in (*group.glob("*/*/"), *group.glob("*/"), group):
        with contextlib.suppress(OSError):
            path.rmdir()
