"""User and group ids that belong to nobody else, one for each worker.

Where this process may take on other ids, a range is chosen that no account lies in; a worker's id is the same for user
and group. Sources: user_namespaces(7), subuid(5), credentials(7); systemd's "Users, Groups, UIDs and GIDs" for the
range that distributions leave unused.
"""

import contextlib
import os
import pwd
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sandbox.jail import kernel

_UNUSED_FIRST: Final = 1_900_000_000
_UNUSED_COUNT: Final = 1 << 27
_LEAST: Final = 1024
"""With fewer, two workers would soon meet in one id."""
_NOBODY_AND_INVALID: Final = 2
_NAMES: Final = {kernel.CAP_SETUID: "SETUID", kernel.CAP_SETGID: "SETGID", kernel.CAP_KILL: "KILL"}
_TO_CHANGE: Final = frozenset({kernel.CAP_SETUID, kernel.CAP_SETGID})
_TO_KILL: Final = frozenset({kernel.CAP_KILL})
_PATH: Final = "/usr/sbin:/usr/bin:/sbin:/bin"

Extent = tuple[int, int]
"""First id and how many."""


class Unavailable(Exception):
    """This machine cannot give it, and why."""


@dataclass(frozen=True, slots=True)
class Identities:
    """A range of ids."""

    first: int
    count: int
    offset: int = 0
    """Where counting begins: at random, so that the workers of two services, or of two zygotes, do not meet."""

    def of(self, worker: int) -> int:
        """The id of a worker, by its number. Numbers rise, so that an id comes back as late as can be."""
        return self.first + (self.offset + worker) % self.count

    def __str__(self) -> str:
        return f"{self.first} to {self.first + self.count - 1}"


@dataclass(frozen=True, slots=True)
class Granted:
    """Ids that may be brought into a new user namespace, under the numbers that the users' have outside."""

    users: Extent
    groups: Extent
    programs: tuple[str, str] | None
    """newuidmap(1) and newgidmap(1), for a user whom the administrator has given ids; None for who needs no help."""

    @property
    def identities(self) -> Identities:
        """Both kinds have the same numbers inside."""
        count = min(self.users[1], self.groups[1])
        return Identities(self.users[0], count, secrets.randbelow(count))


def own_identities(*, needs: frozenset[int] = _TO_CHANGE | _TO_KILL) -> Identities:
    """Ids that this process can give away where it is. Raises: Unavailable."""
    missing = needs - kernel.effective_capabilities()
    if missing:
        raise Unavailable(
            "the capabilities " + ", ".join(sorted(_NAMES[number] for number in missing)) + " are missing"
        )
    return choose(_read_map("uid_map"), _read_map("gid_map"))


def privileged_grant() -> Granted:
    """Ids that this process may bring into a new user namespace by itself. Raises: Unavailable.

    It need not be allowed to signal them: who owns a user namespace may do that anyway.
    """
    own = own_identities(needs=_TO_CHANGE)
    return Granted((own.first, own.count), (own.first, own.count), None)


def subordinate_grant() -> Granted:
    """What subuid(5) and subgid(5) give the user of this process. Raises: Unavailable."""
    new_user_map, new_group_map = shutil.which("newuidmap", path=_PATH), shutil.which("newgidmap", path=_PATH)
    if new_user_map is None or new_group_map is None:
        raise Unavailable("newuidmap and newgidmap are not installed")
    users, groups = _read_subordinate("/etc/subuid"), _read_subordinate("/etc/subgid")
    if users is None or groups is None:
        raise Unavailable("/etc/subuid and /etc/subgid give this user no ids")
    return Granted(users, groups, (new_user_map, new_group_map))


def choose(users: list[Extent], groups: list[Extent]) -> Identities:
    """The range to use, given the ids that exist here. Raises: Unavailable when there are too few."""
    first, end = 0, 0
    for user_first, user_count in users:
        for group_first, group_count in groups:
            low = max(user_first, group_first)
            high = min(user_first + user_count, group_first + group_count)
            if high - low > end - first:
                first, end = low, high
    if end >= _UNUSED_FIRST + _UNUSED_COUNT:
        return Identities(_UNUSED_FIRST, _UNUSED_COUNT, secrets.randbelow(_UNUSED_COUNT))
    # The upper half of what a container was given: accounts are numbered from below.
    middle = (first + end) // 2
    count = end - middle - _NOBODY_AND_INVALID
    if count < _LEAST:
        raise Unavailable("there are too few user ids here")
    return Identities(middle, count, secrets.randbelow(count))


def _read_map(name: str) -> list[Extent]:
    lines = Path("/proc/self", name).read_text().splitlines()
    return [(int(inside), int(count)) for inside, _outside, count in (line.split() for line in lines)]


def _read_subordinate(path: str) -> Extent | None:
    own = {str(os.getuid())}
    with contextlib.suppress(KeyError):  # an id without an account, as in many containers
        own.add(pwd.getpwuid(os.getuid()).pw_name)
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return None
    for fields in (line.split(":") for line in lines):
        if len(fields) == len(("name", "first", "count")) and fields[0] in own and int(fields[2]) >= _LEAST:
            return int(fields[1]), int(fields[2])
    return None
