"""What decides, for each run, which revision it gets and whether it gets one: in memory, no run waits for the database.

It follows the database as its changes are announced, those of other services too.
"""

from collections.abc import Iterable
from sqlite3 import Row
from typing import Final, NamedTuple

from service.database.changes import Changes
from service.database.database import Database
from service.database.revisions import ALIASES, DISABLED, LIVE, Live, alias_of
from service.domain import releases
from service.domain.releases import Alias, revision_number
from service.errors import AliasNotFound, FunctionDisabled


class Release(NamedTuple):
    """What was decided about one workspace."""

    aliases: dict[str, Alias]
    disabled: frozenset[str]


_NOTHING: Final = Release({}, frozenset())


class Releases:
    """Aliases, disabled functions, and the numbers of what is live, of every workspace."""

    def __init__(self, database: Database) -> None:
        self.unusual: dict[str, Release] = {}
        """Of workspaces with an alias or a disabled function. Whoever is not in it runs what is on the volume."""
        self._live: dict[str, Live] = {}
        self._database = database

    def follow(self, changes: Changes) -> None:
        """Before the changes run."""
        changes.listen(ALIASES, self._reload)
        changes.listen(DISABLED, self._reload)
        changes.listen(LIVE, self._reload_live)

    def of(self, workspace: str) -> Release:
        """What was decided about a workspace."""
        return self.unusual.get(workspace, _NOTHING)

    def number_of(self, workspace: str, etag: str) -> int | None:
        """The number of the revision that is live, if the volume has just that."""
        live = self._live.get(workspace)
        return live.number if live is not None and live.etag == etag else None

    def choose(self, workspace: str, function: str, wanted: str | None) -> int | None:
        """The revision for a run that wants this one, by number or alias, or none in particular; None for what is live.

        Raises: FunctionDisabled, AliasNotFound.
        """
        release = self.of(workspace)
        if function in release.disabled:
            raise FunctionDisabled(workspace, function)
        if wanted is not None and (number := revision_number(wanted)) is not None:
            return number
        alias = release.aliases.get(releases.LIVE if wanted is None else wanted)
        if alias is not None:
            return alias.choose()
        if wanted is None or wanted == releases.LIVE:
            return None
        raise AliasNotFound(workspace, wanted)

    async def _reload(self, workspace: str | None) -> None:
        where, parameters = _where(workspace)
        aliases = await self._database.rows(f"SELECT workspace, name, targets FROM aliases {where}", parameters)  # noqa: S608
        disabled = await self._database.rows(f"SELECT workspace, function FROM disabled_functions {where}", parameters)  # noqa: S608
        found = _read(aliases, disabled)
        if workspace is None:
            self.unusual = found
        elif workspace in found:
            self.unusual[workspace] = found[workspace]
        else:
            self.unusual.pop(workspace, None)

    async def _reload_live(self, workspace: str | None) -> None:
        where, parameters = _where(workspace)
        rows = await self._database.rows(f"SELECT workspace, number, etag FROM live {where}", parameters)  # noqa: S608
        if workspace is None:
            self._live.clear()
        else:
            self._live.pop(workspace, None)
        self._live.update({row["workspace"]: Live(row["number"], row["etag"]) for row in rows})


def _where(workspace: str | None) -> tuple[str, tuple[str, ...]]:
    return ("", ()) if workspace is None else ("WHERE workspace = ?", (workspace,))


def _read(aliases: Iterable[Row], disabled: Iterable[Row]) -> dict[str, Release]:
    found: dict[str, Release] = {}
    for row in aliases:
        found.setdefault(row["workspace"], Release({}, frozenset())).aliases[row["name"]] = alias_of(row)
    for row in disabled:
        release = found.setdefault(row["workspace"], Release({}, frozenset()))
        found[row["workspace"]] = release._replace(disabled=release.disabled | {row["function"]})
    return found
