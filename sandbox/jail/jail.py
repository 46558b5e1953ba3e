"""The jail of one zygote. What this machine gives is found out by trying, in processes that are thrown away, and what
did not work, or did not hold when it was tried, is reported as missing: nothing is assumed.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from sandbox.jail import init, kernel, landlock, namespaces
from sandbox.jail.identities import (
    Granted,
    Identities,
    Unavailable,
    own_identities,
    privileged_grant,
    subordinate_grant,
)
from sandbox.jail.lockdown import Cell, Plan, forbid_files, forbid_system_calls, take_own_identity
from sandbox.jail.system_calls import worker_filter
from sandbox.jail.trial import attempt, try_out
from sandbox.protocol import JailLevel, Layer

NAMESPACES: Final = "namespaces"
IDENTITY: Final = "own user id"
LANDLOCK: Final = "landlock"
SECCOMP: Final = "seccomp"

_GRANTS: Final = {
    NAMESPACES: "user namespaces for ordinary users (sysctl user.max_user_namespaces, "
    "kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns), or the capability SYS_ADMIN; in "
    "a container also a seccomp and an AppArmor profile that let unshare, mount and pivot_root through",
    IDENTITY: "the capabilities SETUID and SETGID (without SYS_ADMIN's namespaces also KILL), or newuidmap and ids in "
    "/etc/subuid and /etc/subgid",
    LANDLOCK: "Linux 5.13 or newer with landlock among its security modules (lsm=), and a container profile that lets "
    "the landlock calls through",
    SECCOMP: "Linux on x86_64 or aarch64 with seccomp filters",
}
_STEPS: Final = {
    take_own_identity.__name__: IDENTITY,
    forbid_files.__name__: LANDLOCK,
    forbid_system_calls.__name__: SECCOMP,
}


class JailBroken(Exception):
    """A step failed that every machine has: no worker could be locked in."""


@dataclass(frozen=True, slots=True)
class _Way:
    """One way into the namespaces, and the ids that there are on the other side."""

    enter: Callable[[], None]
    how: str
    identities: Identities | None


class Jail:
    """Where this zygote's workers live, once it has been entered."""

    def __init__(self) -> None:
        self.plan = Plan(os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC), None, None, None, has_init=False)
        self.init_pid: int | None = None
        """Of the process whose end is the end of every worker; None without a pid namespace."""
        self._zygote_pid = 0
        self._layers: dict[str, Layer] = {}

    @property
    def layers(self) -> list[Layer]:
        """What there is and what is missing, outermost first."""
        return [self._layers[name] for name in _GRANTS]

    @property
    def level(self) -> JailLevel:
        """What all of it is worth."""
        on = {name for name, layer in self._layers.items() if layer.is_on}
        if on == _GRANTS.keys():
            return "full"
        return "unprivileged" if SECCOMP in on and on & {NAMESPACES, LANDLOCK} else "none"

    def enter(self, service_pid: int) -> None:
        """Build it and go in; from here on this process sees no file. Raises: OSError, JailBroken."""
        self._zygote_pid = os.getpid()
        service_pidfd = os.pidfd_open(service_pid)
        # Before the namespaces, where there is nothing left to look at.
        ruleset_fd = self._landlock()
        system_calls = self._seccomp()
        identities = self._namespaces()
        if self._layers[NAMESPACES].is_on:
            self.init_pid = init.start(service_pidfd)
        os.close(service_pidfd)
        self._settle(
            Plan(
                self.plan.null_fd,
                identities=identities,
                ruleset_fd=ruleset_fd,
                system_calls=system_calls,
                has_init=self.init_pid is not None,
            )
        )

    def cell(self, number: int, *, connection_fd: int, address_space_max_bytes: int) -> Cell:
        """What a new worker is to be locked in with."""
        return Cell(self.plan, self._zygote_pid, number, connection_fd, address_space_max_bytes)

    def _namespaces(self) -> Identities | None:
        """Go in by the best way there is. Returns the ids that workers can have."""
        refusal = ""
        for way in _ways():
            reason = attempt(partial(_enter_and_fork, way.enter))
            if reason is None:
                way.enter()
                self._on(NAMESPACES, way.how)
                self._identity(way.identities)
                return way.identities
            refusal = reason
        self._off(NAMESPACES, refusal)
        try:
            identities = own_identities()
        except Unavailable as unavailable:
            self._off(IDENTITY, str(unavailable))
            return None
        self._identity(identities)
        return identities

    def _identity(self, identities: Identities | None) -> None:
        if identities is not None:
            self._on(IDENTITY, str(identities))
        else:
            self._off(IDENTITY, f"every worker is user {os.getuid()}, as the service is")

    def _landlock(self) -> int | None:
        try:
            version, ruleset_fd = kernel.landlock_version(), landlock.nothing_allowed()
        except OSError as error:
            self._off(LANDLOCK, error.strerror or str(error))
            return None
        self._on(LANDLOCK, f"version {version}")
        return ruleset_fd

    def _seccomp(self) -> bytes | None:
        system_calls = worker_filter()
        if system_calls is None:
            self._off(SECCOMP, f"the system calls of {kernel.MACHINE} are not known here")
        else:
            self._on(SECCOMP, f"{len(system_calls) // 8} instructions")
        return system_calls

    def _settle(self, plan: Plan) -> None:
        """Lock workers in for a trial until one comes through it; a layer that fails is not counted on any more."""
        while (failure := try_out(plan)) is not None:
            name = _STEPS.get(failure.step)
            if name is None or not self._layers[name].is_on:
                raise JailBroken(f"{failure.step}: {failure.reason}")
            self._off(name, failure.reason)
            plan = Plan(
                null_fd=plan.null_fd,
                identities=None if name == IDENTITY else plan.identities,
                ruleset_fd=None if name == LANDLOCK else plan.ruleset_fd,
                system_calls=None if name == SECCOMP else plan.system_calls,
                has_init=plan.has_init,
            )
        self.plan = plan

    def _on(self, name: str, detail: str) -> None:
        self._layers[name] = Layer(name, is_on=True, detail=detail, grant="")

    def _off(self, name: str, reason: str) -> None:
        self._layers[name] = Layer(name, is_on=False, detail=reason, grant=_GRANTS[name])


def _ways() -> list[_Way]:
    """Ways to try, best first."""
    ways = []
    if kernel.CAP_SYS_ADMIN in kernel.effective_capabilities():
        ways.append(_Way(namespaces.enter, namespaces.NAMES, _identities_here()))
    for source, grant in (("own", privileged_grant), ("subordinate", subordinate_grant)):
        granted = _granted(grant)
        if granted is not None:
            how = f"user ({source} ids), {namespaces.NAMES}"
            ways.append(_Way(partial(namespaces.enter_as_user, granted), how, granted.identities))
    ways.append(_Way(namespaces.enter_as_user, f"user, {namespaces.NAMES}", None))
    return ways


def _identities_here() -> Identities | None:
    try:
        return own_identities()
    except Unavailable:
        return None


def _granted(grant: Callable[[], Granted]) -> Granted | None:
    try:
        return grant()
    except Unavailable:
        return None


def _enter_and_fork(enter: Callable[[], None]) -> None:
    """Raises: OSError where either fails, or files can still be seen."""
    enter()
    if any(Path("/").iterdir()):
        raise FileExistsError("the root is not empty")
    child = os.fork()
    if child == 0:
        os._exit(0 if os.getpid() == 1 else 1)
    _pid, status = os.waitpid(child, 0)
    if status != 0:
        raise ChildProcessError("the first process inside was not process 1")
