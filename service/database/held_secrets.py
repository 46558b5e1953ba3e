"""The secrets of one workspace as they are at one moment: ciphertexts in memory, opened when a worker starts."""

import asyncio
from collections.abc import Hashable, Mapping
from typing import Final, NamedTuple
from weakref import ReferenceType, ref

from service.database.sealing_keys import SealingKeys
from service.domain.masking import Mask
from service.domain.sealing import CannotUnseal, Place, unseal
from service.errors import SecretsUnreadable

AT_ONCE_BYTES: Final = 2 * 1024
"""Making the mask of more takes milliseconds, and is done in a thread."""


class SealedSecret(NamedTuple):
    """One row."""

    version: str
    key_id: str
    sealed: bytes
    updated_ms: int


class HeldSecrets:
    """Never changes; another takes its place when a secret is set or deleted."""

    def __init__(self, workspace: str, rows: Mapping[str, SealedSecret], keys: SealingKeys) -> None:
        self.workspace = workspace
        self.rows = rows
        self.generation: Hashable = tuple(row.version for row in rows.values())
        self._keys = keys
        self._mask: ReferenceType[Mask] | None = None
        self._version: tuple[Hashable, Hashable] = (None, None)

    def version_of(self, definition: Hashable) -> Hashable:
        """What tells this definition with these secrets from others: the same object for the same definition."""
        if self._version[0] is not definition:
            self._version = (definition, self.generation)
        return self._version

    @property
    def mask(self) -> Mask | None:
        """Hides them; there as long as somebody has it who has opened them: it takes far more room than they do."""
        return None if self._mask is None else self._mask()

    def adopt(self, before: "HeldSecrets") -> None:
        """Those were of the same values."""
        self._mask = before._mask  # noqa: SLF001  # another of the same class

    async def open(self) -> tuple[dict[str, str], Mask]:
        """The values by name, and what hides them. Raises: SecretsUnreadable."""
        if sum(len(row.sealed) for row in self.rows.values()) > AT_ONCE_BYTES:
            return await asyncio.to_thread(self._open)
        return self._open()

    def unreadable(self) -> list[str]:
        """The names of those whose key is not known."""
        return [name for name, row in self.rows.items() if self._keys.find(row.key_id) is None]

    def _open(self) -> tuple[dict[str, str], Mask]:
        if self.unreadable():
            self._keys.refresh()  # it may have been put in its place meanwhile
        values = {name: self._unsealed(name, row) for name, row in self.rows.items()}
        mask = self.mask
        if mask is None:
            mask = Mask(values.values())
            self._mask = ref(mask)
        return values, mask

    def _unsealed(self, name: str, row: SealedSecret) -> str:
        key = self._keys.find(row.key_id)
        if key is None:
            raise SecretsUnreadable(
                f"The secrets of the workspace {self.workspace!r} cannot be read: "
                "the service does not have the key that they were encrypted with."
            )
        try:
            return unseal(key, Place(self.workspace, name, row.version), row.sealed)
        except CannotUnseal:
            raise SecretsUnreadable(
                f"The secret {name!r} of the workspace {self.workspace!r} cannot be read: it was damaged, or belongs "
                "elsewhere. Set it again."
            ) from None
