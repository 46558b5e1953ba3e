"""Set, delete and list the secrets of a workspace that exists."""

from functools import partial

from service.database.audit import Actor
from service.database.secrets import Secrets
from service.errors import VolumeUnavailable, WorkspaceNotFound
from service.storage.workspaces import Volume


class KeepSecrets:
    """The verbs. What was set is in the workspace's workers from the next run on, which new ones take."""

    def __init__(self, volume: Volume, secrets: Secrets) -> None:
        self._volume = volume
        self._secrets = secrets

    async def set(self, actor: Actor, workspace: str, name: str, value: str) -> None:
        """Raises: WorkspaceNotFound, VolumeUnavailable, and as `Secrets.set`."""
        self._check(workspace)
        # Once more when it is its turn: a deletion meanwhile has taken all secrets along, and this one would stay.
        await self._secrets.set(actor, workspace, name, value, check=partial(self._check, workspace))

    async def delete(self, actor: Actor, workspace: str, name: str) -> None:
        """Raises: WorkspaceNotFound, SecretNotFound, VolumeUnavailable, DatabaseUnavailable."""
        self._check(workspace)
        await self._secrets.delete(actor, workspace, name)

    async def listed(self, actor: Actor, workspace: str) -> list[tuple[str, int]]:
        """Names, and when each was set, in ms. Raises: WorkspaceNotFound, VolumeUnavailable, DatabaseUnavailable."""
        self._check(workspace)
        return await self._secrets.listed(actor, workspace)

    def _check(self, workspace: str) -> None:
        # Whether it can be loaded does not matter: it may be waiting for just this.
        if self._volume.signature(workspace) is None:
            if self._volume.is_removed:
                raise VolumeUnavailable("The volume cannot be read: its folder was deleted.")
            raise WorkspaceNotFound(workspace)
