"""Who may do what: roles, what each may do, and the workspaces a caller covers."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

Role = Literal["admin", "deploy", "run", "read"]


class Need(Enum):
    """What a route asks of its caller."""

    PUBLIC = "public"
    """Nothing: anybody may."""
    READ = "read"
    """Definitions, revisions, the history."""
    FOLLOW = "follow"
    """What has become of one run, known by its id."""
    RUN = "run"
    DEPLOY = "deploy"
    """Change what runs, and run what is nowhere stored: both can read whatever the workspace's code can."""
    ADMIN = "admin"
    """Keys, quotas, the audit log."""


MAY: Final[Mapping[Role, Collection[Need]]] = {
    "read": frozenset({Need.PUBLIC, Need.READ, Need.FOLLOW}),
    "run": frozenset({Need.PUBLIC, Need.RUN, Need.FOLLOW}),
    "deploy": frozenset({Need.PUBLIC, Need.READ, Need.RUN, Need.FOLLOW, Need.DEPLOY}),
    "admin": frozenset(Need),
}
"""The one table from roles to what they may do. Who runs functions need not be shown their code."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Some workspaces: by name, or all whose names begin in a certain way."""

    names: frozenset[str] = frozenset()
    prefixes: tuple[str, ...] = ()

    def covers(self, workspace: str) -> bool:
        """Whether this workspace is among them."""
        return workspace in self.names or workspace.startswith(self.prefixes)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request."""

    name: str
    role: Role
    scope: Scope | None = None
    """None for every workspace, and what belongs to none."""
    id: str = ""
    """Of the key: a new one may have the name of one that was revoked, and is somebody else."""

    def may(self, need: Need) -> bool:
        """Whether the role is enough."""
        return need in MAY[self.role]

    def covers(self, workspace: str) -> bool:
        """Whether the caller may know of this workspace."""
        return self.scope is None or self.scope.covers(workspace)


ANYBODY: Final = Caller("anonymous", "admin", id="anonymous")
"""Every caller, where access is open."""
STRANGER: Final = Caller("nobody", "read", Scope(), id="nobody")
"""Who has shown no key, at a route that asks for none."""
