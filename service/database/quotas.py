"""Quotas of workspaces: the operator's defaults, and overrides, which are kept in the database and in memory."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from service.database import audit
from service.database.audit import Actor
from service.database.changes import Changes
from service.database.database import Database
from service.domain.quotas import DAYS_MOST, QUOTA_MOST, QUOTA_NAMES, Quotas
from service.domain.times import now_ms

TOPIC: Final = "quotas"
_COLUMNS: Final = ", ".join(QUOTA_NAMES)
_SET: Final = (
    f"INSERT OR REPLACE INTO quotas (workspace, {_COLUMNS}, changed_ms) "  # noqa: S608  # our own names
    f"VALUES (?, {', '.join('?' for _ in QUOTA_NAMES)}, ?)"
)
_READ: Final = f"SELECT workspace, {_COLUMNS} FROM quotas"  # noqa: S608  # our own names


class QuotaTable:
    """What each workspace may have. `of` is asked by every run and does not wait for the database.

    `on_change` is called with the workspace whose quotas are other ones now, None for all of them.
    """

    def __init__(self, database: Database, changes: Changes, defaults: Quotas) -> None:
        self.defaults = defaults
        self.on_change: Callable[[str | None], None] = _nobody
        self.has_rates = defaults.runs_per_minute > 0
        """Whether any workspace has a number of runs that it may begin."""
        self._database = database
        self._overrides: dict[str, dict[str, int]] = {}
        self._quotas: dict[str, Quotas] = {}
        """Of those with an override."""
        changes.listen(TOPIC, self._reload)

    def of(self, workspace: str) -> Quotas:
        """What holds for a workspace, which need not exist."""
        return self._quotas.get(workspace, self.defaults)

    def retention_of(self, workspace: str) -> tuple[int, int]:
        """Days and runs of the history that are kept of a workspace; no limit is more than there will ever be."""
        quotas = self.of(workspace)
        return quotas.history_days or DAYS_MOST, quotas.history_rows or QUOTA_MOST

    def override_of(self, workspace: str) -> Mapping[str, int]:
        """What was set for this one alone."""
        return self._overrides.get(workspace, {})

    async def set(self, workspace: str, override: Mapping[str, int], actor: Actor) -> None:
        """The whole override: what it does not name is as for every workspace. Raises: DatabaseUnavailable."""
        async with self._database.writing() as write:
            values = [override.get(name) for name in QUOTA_NAMES]
            await write.execute(_SET, (workspace, *values, now_ms()))
            await audit.append(write, actor, "quotas.set", workspace=workspace, details=override)
            await write.changed(TOPIC, workspace)

    async def delete(self, workspace: str, actor: Actor) -> None:
        """Back to what every workspace has; nothing happens where there is no override. Raises: DatabaseUnavailable."""
        async with self._database.writing() as write:
            if await write.execute("DELETE FROM quotas WHERE workspace = ?", (workspace,)):
                await audit.append(write, actor, "quotas.deleted", workspace=workspace)
                await write.changed(TOPIC, workspace)

    async def _reload(self, workspace: str | None) -> None:
        if workspace is None:
            rows = await self._database.rows(_READ)
            self._overrides = {row["workspace"]: _override(row) for row in rows}
            self._quotas = {name: self.defaults.changed(override) for name, override in self._overrides.items()}
        else:
            row = await self._database.row(f"{_READ} WHERE workspace = ?", (workspace,))
            self._overrides.pop(workspace, None)
            self._quotas.pop(workspace, None)
            if row is not None:
                override = self._overrides[workspace] = _override(row)
                self._quotas[workspace] = self.defaults.changed(override)
        self.has_rates = any(quotas.runs_per_minute for quotas in (self.defaults, *self._quotas.values()))
        self.on_change(workspace)


def _override(row: Any) -> dict[str, int]:
    return {name: row[name] for name in QUOTA_NAMES if row[name] is not None}


def _nobody(_workspace: str | None) -> None:
    """For who keeps nothing that depends on it."""
