"""The secrets of one workspace as they are at one moment: ciphertexts in memory, opened when a worker starts."""

import asyncio
from collections.abc import Hashable, Mapping
from typing import Final, NamedTuple

from service.database.keyring import Keyring
from service.domain.masking import Mask
from service.domain.sealing import OVERHEAD_BYTES, CannotUnseal, Place, unseal
from service.errors import SecretsUnreadable

AT_ONCE_BYTES: Final = 8 * 1024
"""Making the mask of more takes milliseconds, and is done in a thread."""


class SealedSecret(NamedTuple):
    """One row."""

    version: str
    key_id: str
    sealed: bytes
    updated_ms: int


class HeldSecrets:
    """Never changes; another takes its place when a secret is set or deleted."""

    def __init__(self, workspace: str, rows: Mapping[str, SealedSecret], keyring: Keyring) -> None:
        self.workspace = workspace
        self.rows = rows
        self.mask: Mask | None = None
        """Of those that are in a worker's hands: there once they were opened."""
        self.generation: Hashable = tuple(row.version for row in rows.values())
        self._keyring = keyring
        self._version: tuple[Hashable, Hashable] = (None, None)

    def version_of(self, definition: Hashable) -> Hashable:
        """What tells this definition with these secrets from others: the same object for the same definition."""
        if self._version[0] is not definition:
            self._version = (definition, self.generation)
        return self._version

    async def open(self) -> dict[str, str]:
        """The values by name; from now on there is a mask. Raises: SecretsUnreadable."""
        if sum(len(row.sealed) for row in self.rows.values()) > AT_ONCE_BYTES:
            return await asyncio.to_thread(self._open)
        return self._open()

    def unreadable(self) -> list[str]:
        """The names of those whose key is not known."""
        return [name for name, row in self.rows.items() if self._keyring.find(row.key_id) is None]

    def _open(self) -> dict[str, str]:
        if self.unreadable():
            self._keyring.refresh()  # it may have been put in its place meanwhile
        values = {name: self._unsealed(name, row) for name, row in self.rows.items()}
        if self.mask is None:
            self.mask = Mask(values.values())
        return values

    def _unsealed(self, name: str, row: SealedSecret) -> str:
        key = self._keyring.find(row.key_id)
        if key is None:
            trouble = self._keyring.trouble or "they were encrypted with a key that is not among those of the service"
            raise SecretsUnreadable(f"The secrets of the workspace {self.workspace!r} cannot be read: {trouble}.")
        try:
            return unseal(key, Place(self.workspace, name, row.version), row.sealed)
        except CannotUnseal:
            raise SecretsUnreadable(
                f"The secret {name!r} of the workspace {self.workspace!r} cannot be read: it was damaged, or belongs "
                "elsewhere. Set it again."
            ) from None


def value_bytes(row: SealedSecret) -> int:
    """Length of the value."""
    return len(row.sealed) - OVERHEAD_BYTES
