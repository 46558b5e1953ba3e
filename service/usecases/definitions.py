"""Definitions as workers load them: what the volume has, and what was compiled from it."""

from collections.abc import Hashable
from dataclasses import replace
from functools import partial
from typing import Final

import structlog

from service.database.secrets import Secrets
from service.domain.pool import PoolBounds, PoolRules
from service.domain.workspace import Workspace
from service.errors import WorkspaceNotFound
from service.storage.workspaces import Volume
from service.usecases.revisions import Revisions
from service.workers.launcher import Package

ABSENT: Final = "absent"
"""The version of a workspace that is nowhere on the volume: a body that is run once needs none to exist."""

_log = structlog.get_logger()


def with_secrets(package: Package, definition: Hashable) -> Hashable:
    """What tells this content from another: the definition on the volume, and the secrets that go with it."""
    return definition if package.secrets is None else package.secrets.version_of(definition)


class Definitions:
    """What workers are started from."""

    def __init__(self, volume: Volume, revisions: Revisions, bounds: PoolBounds, secrets: Secrets) -> None:
        self._volume = volume
        self._revisions = revisions
        self._secrets = secrets
        self.bounds = bounds

    async def find(self, name: str) -> Package:
        """What a workspace is now, or a revision of it was, by its key. Raises: WorkspaceBroken, RevisionNotFound."""
        if "@" in name:
            return await self._find_revision(name)
        try:
            stored = await self._volume.read(name)
        except WorkspaceNotFound:
            # Nothing is kept warm for a name that anybody may have made up.
            rules = replace(self.bounds.rules(None), floor=0)
            return Package(b'{"functions":{}}', b"", version=ABSENT, rules=rules)
        bundle = await self._volume.read_bundle(name)
        package = self.package(stored.workspace)
        return replace(package, bundle=bundle, version=with_secrets(package, stored.signature))

    async def _find_revision(self, key: str) -> Package:
        workspace, _, number = key.partition("@")
        revision = await self._revisions.to_run(workspace, int(number))
        package = self.package(revision)
        version = with_secrets(package, self.version_of(revision))
        # Nothing is kept warm of what is not live.
        rules = replace(package.rules, floor=0)
        return replace(package, bundle=self._revisions.bundle(key, version), version=version, rules=rules)

    @staticmethod
    def version_of(revision: Workspace) -> Hashable:
        """What a revision that is not live is known by in its pool."""
        return revision.revision

    def package(self, workspace: Workspace) -> Package:
        """A definition that is not on the volume yet, and not compiled."""
        return Package(
            workspace.definition_json(), b"", functions=workspace.timeouts_ms, network=workspace.network,
            rules=self._rules(workspace), secrets=self._secrets.of(workspace.name),
            mask=partial(self._secrets.mask, workspace.name),
        )  # fmt: skip

    def _rules(self, workspace: Workspace) -> PoolRules:
        rules = self.bounds.rules(workspace.pool)
        return rules if workspace.limits is None else replace(rules, runs=workspace.limits.runs_concurrent)

    async def keep(self, name: str, package: Package) -> None:
        """Keep what was compiled. It can be compiled again, so that a volume that will not take it is no failure."""
        if package.version == ABSENT:
            return
        if "@" in name:
            self._revisions.keep_bundle(name, package.version, package.bundle)
            return
        try:
            await self._volume.write_bundle(name, package.bundle)
        except OSError as error:
            _log.warning("bundle not kept", workspace=name, reason=str(error))
