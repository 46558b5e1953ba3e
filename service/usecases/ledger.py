"""What becomes live, written down: the database and the volume change together, or neither does.

The volume is the truth of what runs. In one transaction the database takes the revision and the audit log's line, then
the volume takes the definition, then the transaction is committed. A crash in between leaves a definition on the volume
that is no revision; what is found there is recorded before the next change, as is what somebody edited by hand.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import structlog

from service.database import audit, revisions, secrets
from service.database.audit import Actor
from service.database.database import Database, Writing
from service.database.revisions import Live
from service.domain.workspace import Workspace
from service.errors import DatabaseUnavailable, SkepError, VolumeUnavailable
from service.storage.files import Signature
from service.storage.workspaces import Volume

FOUND: Final = "changed on the volume"
"""The message of what nobody deployed here."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Origin:
    """Who changes something, and what they say about it."""

    actor: Actor
    message: str | None = None


class Entry(NamedTuple):
    """What was written down."""

    number: int
    signature: Signature


class Ledger:
    """The changes that last. Whoever calls holds the lock of the workspace; `before` is what the volume has."""

    def __init__(self, database: Database, volume: Volume, *, keep: int, keep_deleted: int = 100) -> None:
        self._database = database
        self._volume = volume
        self._keep = keep
        self._keep_deleted = keep_deleted

    async def record(
        self, workspace: Workspace, before: Workspace | None, origin: Origin, *, number: int | None = None
    ) -> Entry:
        """Make a definition live: as a new revision, or as the one it is. Raises: VolumeUnavailable,
        DatabaseUnavailable, WorkspaceBroken, InvalidRequest; then what was live is.
        """
        name = workspace.name
        signature: Signature | None = None
        is_new = before is None and self._volume.signature(name) is None
        try:
            async with self._database.writing() as write:
                await self._notice(write, before)
                if is_new:
                    # Whoever had the name before may have left some behind, if it was removed from the volume by hand.
                    await secrets.forget(write, name)
                action = "workspace.deployed" if number is None else "revision.activated"
                if number is None:
                    number = await revisions.append(write, workspace, key=origin.actor.name, message=origin.message)
                # What was live until now is kept once more, however old: somebody may want it back in a moment.
                await revisions.prune(write, name, keep=self._keep)
                await revisions.make_live(write, workspace, number)
                details = None if origin.message is None else {"message": origin.message}
                await audit.append(write, origin.actor, action, workspace=name, subject=str(number), details=details)
                signature = await self._volume.write(workspace)
        except OSError as error:
            raise VolumeUnavailable(f"The definition cannot be stored: {error.strerror}.") from error
        except Exception:
            if signature is not None and number is not None and not await self._is_live(workspace, number):
                await self._put_back(name, before, is_new=is_new)
            raise
        return Entry(number, signature)

    async def delete(self, name: str, before: Workspace | None, origin: Origin) -> bool:
        """Remove a workspace; what was live of it stays a revision. False if there is none. Raises: as `record`."""
        if before is None and self._volume.signature(name) is None:
            return False
        deleted = False
        try:
            async with self._database.writing() as write:
                await self._notice(write, before)
                await revisions.forget(write, name, keep_deleted=self._keep_deleted)
                await secrets.forget(write, name)
                await audit.append(write, origin.actor, "workspace.deleted", workspace=name)
                deleted = await self._volume.delete(name)
        except OSError as error:
            raise VolumeUnavailable(f"The workspace cannot be deleted: {error.strerror}.") from error
        except Exception:
            if deleted:
                await self._put_back(name, before, is_new=False)
            raise
        return deleted

    async def _notice(self, write: Writing, before: Workspace | None) -> None:
        """What is on the volume and was never deployed is a revision from now on."""
        if before is None:
            return
        live = await revisions.live_of(write, before.name)
        if live is None or live.etag != before.revision:
            number = await revisions.append(write, before, key=None, message=FOUND)
            await revisions.make_live(write, before, number)

    async def _is_live(self, workspace: Workspace, number: int) -> bool:
        """Whether what failed came only after the transaction."""
        try:
            return await revisions.live_of(self._database, workspace.name) == Live(number, workspace.revision)
        except DatabaseUnavailable:
            return False

    async def _put_back(self, name: str, before: Workspace | None, *, is_new: bool) -> None:
        """The database did not take it in the end: the volume is to have what it had. If that could not be read, what
        has taken its place stays: it is noticed with the next change.
        """
        try:
            if is_new:
                await self._volume.delete(name)
            elif before is not None:
                await self._volume.write(before)
        except (OSError, SkepError) as error:
            _log.warning("not put back", workspace=name, reason=str(error))
