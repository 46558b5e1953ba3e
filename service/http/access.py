"""Who sends a request, and whether it may: decided before a handler looks at anything."""

from collections.abc import Callable
from typing import Final

from aiohttp import web

from service.database.audit import Actor
from service.domain.access import ANYBODY, STRANGER, Caller, Need
from service.errors import Forbidden, WorkspaceNotFound
from service.http.skep import Skep

Access = Callable[[Skep, web.Request], None]
"""Sees to it that a request may go on. Raises: Unauthenticated, TooManyBadKeys, Forbidden, WorkspaceNotFound."""

_CALLER: Final = web.RequestKey("caller", Caller)


def allows(needs: Need, *, is_filtered: bool = False) -> Access:
    """For a route that needs this."""

    def check(skep: Skep, request: web.Request) -> None:
        if needs is Need.PUBLIC:
            # A key is not even looked at: who asks whether we are alive need not have one, nor a good one.
            request[_CALLER] = STRANGER
            return
        caller = request[_CALLER] = skep.gate.admit(request)
        if caller is ANYBODY:
            return
        workspace = request.match_info.get("workspace")
        # As if it were not there: who may not know of a workspace learns nothing of it.
        if workspace is not None and not caller.covers(workspace):
            raise WorkspaceNotFound(workspace)
        if not caller.may(needs):
            raise Forbidden(f"The key {caller.name!r} has the role {caller.role!r}, which does not allow this.")
        if workspace is None and not is_filtered and caller.scope is not None:
            raise Forbidden(f"The key {caller.name!r} is for some workspaces, and this is about all of them.")

    return check


def nobody_asked(_skep: Skep, _request: web.Request) -> None:
    """For what is no route: there is nothing to protect."""


def caller_of(request: web.Request) -> Caller:
    """Who was let in."""
    return request[_CALLER]


def actor_of(request: web.Request) -> Actor:
    """The same, for the audit log."""
    return Actor(caller_of(request).name, request.remote or "")
