"""Change which revision runs get, and whether a function runs at all. Neither is a deploy: no worker is replaced."""

from service.database import audit, revisions
from service.database.database import Database
from service.domain.releases import Alias
from service.errors import (
    AliasNotFound,
    FunctionNotFound,
    InvalidRequest,
    Problem,
    RevisionNotFound,
)
from service.storage.workspaces import Volume
from service.usecases.ledger import Origin
from service.usecases.releases import Releases

ALIASES_MAX = 100


class Aliases:
    """What is decided about the runs of a workspace that exists."""

    def __init__(self, database: Database, volume: Volume, releases: Releases) -> None:
        self._database = database
        self._volume = volume
        self._releases = releases

    async def all_of(self, workspace: str) -> dict[str, Alias]:
        """By name. Raises: WorkspaceNotFound."""
        await self._volume.read(workspace)
        return dict(sorted(self._releases.of(workspace).aliases.items()))

    async def read(self, workspace: str, name: str) -> Alias:
        """One. Raises: WorkspaceNotFound, AliasNotFound."""
        found = (await self.all_of(workspace)).get(name)
        if found is None:
            raise AliasNotFound(workspace, name)
        return found

    async def set(self, workspace: str, name: str, alias: Alias, origin: Origin) -> None:
        """Make it, or let it name others. Raises: WorkspaceNotFound, RevisionNotFound, InvalidRequest."""
        async with self._volume.locked(workspace):
            await self._volume.read(workspace)
            async with self._database.writing() as write:
                if missing := await revisions.missing(write, workspace, alias.numbers):
                    raise RevisionNotFound(workspace, missing[0])
                await revisions.set_alias(write, workspace, name, alias)
                if await revisions.alias_count(write, workspace) > ALIASES_MAX:
                    raise InvalidRequest([Problem("", f"a workspace may have {ALIASES_MAX} aliases")])
                await audit.append(
                    write, origin.actor, "alias.set", workspace=workspace, subject=name, details=alias.document
                )

    async def delete(self, workspace: str, name: str, origin: Origin) -> None:
        """Raises: WorkspaceNotFound, AliasNotFound."""
        await self._volume.read(workspace)
        async with self._database.writing() as write:
            if not await revisions.delete_alias(write, workspace, name):
                raise AliasNotFound(workspace, name)
            await audit.append(write, origin.actor, "alias.deleted", workspace=workspace, subject=name)

    async def disable(self, workspace: str, function: str, origin: Origin, *, is_disabled: bool) -> None:
        """Runs of a function are refused from now on, or no longer. Raises: WorkspaceNotFound, FunctionNotFound."""
        async with self._volume.locked(workspace):
            stored = await self._volume.read(workspace)
            if function not in stored.workspace.timeouts_ms:
                raise FunctionNotFound(workspace, function)
            async with self._database.writing() as write:
                if await revisions.disable(write, workspace, function, is_disabled=is_disabled):
                    action = "function.disabled" if is_disabled else "function.enabled"
                    await audit.append(write, origin.actor, action, workspace=workspace, subject=function)
