"""Definitions as workers load them: what the volume has, and what was compiled from it."""

from dataclasses import replace
from typing import Final

import structlog

from service.domain.pool import PoolBounds
from service.domain.workspace import Workspace
from service.errors import WorkspaceNotFound
from service.storage.workspaces import Volume
from service.workers.launcher import Package

ABSENT: Final = "absent"
"""The version of a workspace that is nowhere on the volume: a body that is run once needs none to exist."""

_log = structlog.get_logger()


class Definitions:
    """What workers are started from."""

    def __init__(self, volume: Volume, bounds: PoolBounds) -> None:
        self._volume = volume
        self.bounds = bounds

    async def find(self, name: str) -> Package:
        """What a workspace is now. Raises: WorkspaceBroken."""
        try:
            stored = await self._volume.read(name)
        except WorkspaceNotFound:
            # Nothing is kept warm for a name that anybody may have made up.
            rules = replace(self.bounds.rules(None), floor=0)
            return Package(b'{"functions":{}}', b"", version=ABSENT, rules=rules)
        bundle = await self._volume.read_bundle(name)
        package = self.package(stored.workspace)
        return Package(
            package.definition_json, bundle, version=stored.signature, functions=package.functions,
            network=package.network, rules=package.rules,
        )  # fmt: skip

    def package(self, workspace: Workspace) -> Package:
        """A definition that is not on the volume yet, and not compiled."""
        return Package(
            workspace.definition_json(), b"", functions=workspace.timeouts_ms, network=workspace.network,
            rules=self.bounds.rules(workspace.pool),
        )  # fmt: skip

    async def keep(self, name: str, package: Package) -> None:
        """Keep what was compiled. It can be compiled again, so that a volume that will not take it is no failure."""
        if package.version == ABSENT:
            return
        try:
            await self._volume.write_bundle(name, package.bundle)
        except OSError as error:
            _log.warning("bundle not kept", workspace=name, reason=str(error))
