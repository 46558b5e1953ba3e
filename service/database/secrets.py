"""Secrets of every workspace: encrypted in the database, and in memory; what a run needs of them waits for neither."""

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Hashable
from functools import partial
from typing import Final

import structlog

from service.database import audit, readings
from service.database.audit import Actor
from service.database.database import Database, Writing
from service.database.group_commit import GroupCommit
from service.database.held_secrets import HeldSecrets, SealedSecret
from service.database.sealing_keys import SealingKeys
from service.domain.masking import Mask
from service.domain.sealing import OVERHEAD_BYTES, Key, Place, seal
from service.domain.times import now_ms
from service.errors import DatabaseUnavailable, InvalidRequest, Problem, SecretNotFound, SecretsUnreadable
from service.threads import started_threads

TOPIC: Final = "secrets"
COUNT_MAX: Final = 100
"""Of one workspace."""
TOTAL_MAX_BYTES: Final = 128 * 1024
"""Of one workspace. Every worker is given them all, and what it says is searched for them."""
VALUE_MAX_BYTES: Final = 64 * 1024

_log = structlog.get_logger()


class Secrets:
    """What every workspace's secrets are, as the feed of changes tells."""

    def __init__(self, database: Database, keys: SealingKeys) -> None:
        self._database = database
        self._keys = keys
        self._readings = GroupCommit(database)
        # The feed of changes and the only writer of the database wait for it, and so everybody does. The threads that
        # all share are no place for that: bodies that callers send are read there, as many as they send.
        self._thread = started_threads(1, name="keys")
        self._held: dict[str, HeldSecrets] = {}
        self.trouble = ""
        """Why some cannot be read, or could not be after a restart, or none can be set, as was last seen; empty if all
        is well.
        """
        self._looked_at: frozenset[str] = frozenset()

    async def look(self) -> str:
        """What the trouble is now. The database is asked only where there was some, or the keys are others."""
        await self._refresh()
        if self.trouble or self._keys.kept != self._looked_at:
            with contextlib.suppress(DatabaseUnavailable):
                await self._look()
        return self.trouble

    def of(self, workspace: str) -> HeldSecrets | None:
        """Those of a workspace; None if it has none."""
        return self._held.get(workspace)

    def version(self, workspace: str, definition: Hashable) -> Hashable:
        """What a worker runs: a definition, and the secrets it was given. Asked for every run."""
        held = self._held.get(workspace)
        return definition if held is None else held.version_of(definition)

    def mask(self, workspace: str) -> Mask | None:
        """Hides what workers of a workspace are given now; None while none was."""
        held = self._held.get(workspace)
        return None if held is None else held.mask

    async def reload(self, workspace: str | None) -> None:
        """Called by the feed of changes. Raises: DatabaseUnavailable."""
        columns = "SELECT workspace, name, version, key_id, sealed, updated_ms FROM secrets"
        if workspace is None:
            rows = await self._database.rows(f"{columns} ORDER BY workspace, name")
        else:
            rows = await self._database.rows(f"{columns} WHERE workspace = ? ORDER BY name", (workspace,))
        found: dict[str, dict[str, SealedSecret]] = {} if workspace is None else {workspace: {}}
        for row in rows:
            found.setdefault(row["workspace"], {})[row["name"]] = SealedSecret(
                row["version"], row["key_id"], row["sealed"], row["updated_ms"]
            )
        for gone in self._held.keys() - found.keys() if workspace is None else ():
            del self._held[gone]
        for name, secrets_of in found.items():
            self._keep(name, secrets_of)
        is_new = workspace is None and not rows
        await self._refresh(may_make=is_new)
        await self._look()

    async def set(
        self, actor: Actor, workspace: str, name: str, value: str, *, check: Callable[[], None] = lambda: None
    ) -> None:
        """Set one; on disk, and known to every service, when this returns. `check` is called when nobody else writes,
        and no workspace is deleted: what it raises goes through.

        Raises: InvalidRequest where there are too many, SecretsUnreadable, DatabaseUnavailable.
        """
        async with self._database.writing() as write:
            check()
            key = await self._key(write)
            await _check_room(write, workspace, name, len(value.encode()))
            version = secrets.token_hex(8)
            sealed = seal(key, Place(workspace, name, version), value)
            await write.execute(
                "INSERT INTO secrets (workspace, name, version, key_id, sealed, updated_ms) VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (workspace, name) DO UPDATE SET version = excluded.version, key_id = excluded.key_id,"
                " sealed = excluded.sealed, updated_ms = excluded.updated_ms",
                (workspace, name, version, key.id, sealed, now_ms()),
            )
            await audit.append(write, actor, "secret.set", workspace=workspace, subject=name)
            await write.changed(TOPIC, workspace)

    async def delete(self, actor: Actor, workspace: str, name: str) -> None:
        """Delete one, which needs no key. Raises: SecretNotFound, DatabaseUnavailable."""
        async with self._database.writing() as write:
            if not await write.execute("DELETE FROM secrets WHERE workspace = ? AND name = ?", (workspace, name)):
                raise SecretNotFound(workspace, name)
            await audit.append(write, actor, "secret.deleted", workspace=workspace, subject=name)
            await write.changed(TOPIC, workspace)

    async def listed(self, actor: Actor, workspace: str) -> list[tuple[str, int]]:
        """Names, and when each was set, in ms. Raises: DatabaseUnavailable."""
        await readings.note(self._readings, actor, "secrets.listed", workspace=workspace)
        held = self._held.get(workspace)
        return [] if held is None else [(name, row.updated_ms) for name, row in held.rows.items()]

    def _keep(self, workspace: str, rows: dict[str, SealedSecret]) -> None:
        if not rows:
            self._held.pop(workspace, None)
            return
        held = HeldSecrets(workspace, rows, self._keys)
        before = self._held.get(workspace)
        if before is None or before.rows != held.rows:
            self._held[workspace] = held
            if before is not None and before.generation == held.generation:
                held.adopt(before)  # they are the same, encrypted anew

    async def _key(self, write: Writing) -> Key:
        """What to encrypt with: asked while nobody else writes, so that no rotation is missed."""
        await self._refresh()
        if self._keys.first is None:
            await self._look()  # where the file is concerns the log, and not who asks
            raise SecretsUnreadable("No secret can be set: the service has no key to encrypt it with.")
        if await self._missing(write):
            await self._look()
            raise SecretsUnreadable(
                "No secret can be set: there are some that were encrypted with a key that is not among those of "
                "the service, which may be the wrong ones."
            )
        return self._keys.first

    async def _refresh(self, *, may_make: bool = False) -> None:
        """The keys as they are on disk now."""
        await asyncio.get_running_loop().run_in_executor(self._thread, partial(self._keys.refresh, may_make=may_make))

    async def _missing(self, asked: Writing | Database) -> list[str]:
        """The names of keys that are needed and not kept."""
        rows = await asked.rows("SELECT DISTINCT key_id FROM secrets ORDER BY key_id")
        return [row["key_id"] for row in rows if row["key_id"] not in self._keys.kept]

    async def _look(self) -> None:
        looked_at = self._keys.kept
        missing = await self._missing(self._database)
        if missing:
            # Perhaps keys are just changed: a new one is in the file before the first secret is encrypted with it.
            await self._refresh()
            looked_at = self._keys.kept
            missing = await self._missing(self._database)
        trouble = self._keys.trouble
        if missing and not trouble:
            trouble = f"secrets were encrypted with keys that are not there: {', '.join(missing)}"
            if all(self._keys.find(key_id) for key_id in missing):
                trouble += f"; until a restart they are in memory: put them back into {self._keys.path}"
        self._looked_at = looked_at
        if trouble != self.trouble:
            if trouble:
                _log.error("secrets unreadable", reason=trouble)
            else:
                _log.info("secrets readable")
        self.trouble = trouble


async def forget(write: Writing, workspace: str) -> None:
    """A workspace is deleted, or made: whoever has its name later gets none of what was there."""
    if await write.execute("DELETE FROM secrets WHERE workspace = ?", (workspace,)):
        await write.changed(TOPIC, workspace)


async def _check_room(write: Writing, workspace: str, name: str, size_bytes: int) -> None:
    row = await write.row(
        "SELECT count(*) AS count, total(length(sealed)) AS size FROM secrets WHERE workspace = ? AND name <> ?",
        (workspace, name),
    )
    count, size = (0, 0) if row is None else (row["count"], int(row["size"]) - row["count"] * OVERHEAD_BYTES)
    if count >= COUNT_MAX:
        raise InvalidRequest([Problem("", f"the workspace has {count} secrets, and {COUNT_MAX} are the most")])
    if size + size_bytes > TOTAL_MAX_BYTES:
        message = f"is too long: the secrets of a workspace may have {TOTAL_MAX_BYTES} bytes together"
        raise InvalidRequest([Problem("value", message)])
