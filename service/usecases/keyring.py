"""The keys in memory: whom a key belongs to, without a look at the database."""

import asyncio
import contextlib
import math
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from hmac import compare_digest
from typing import Final, Literal

import structlog

from service.database.changes import Changes
from service.database.keys import TOPIC, Keys, KnownKey
from service.domain.access import Caller
from service.domain.keys import ADMIN_NAME, ID_AT, digest_of, scope_of
from service.errors import DatabaseUnavailable, Unauthenticated

NOTE_USES_EVERY_S: Final = 30.0

_log = structlog.get_logger()


class Entry:
    """One key as callers show it."""

    __slots__ = ("caller", "digest", "expires_s", "noted_s", "used_s")

    def __init__(self, caller: Caller, digest: bytes, *, expires_s: float = math.inf) -> None:
        self.caller = caller
        self.digest = digest
        self.expires_s = expires_s
        self.used_s = 0.0
        self.noted_s = 0.0


class Keyring:
    """Every key that is not revoked.

    `is_open`: nobody needs one. That is never so when `auth` is "on", and with "auto" for as long as there has never
    been a key. When it is "off" it is always so, and `is_open_to_all` says that it is meant for other machines, too.
    """

    def __init__(self, keys: Keys, *, auth: str, admin_key: str) -> None:
        self._keys = keys
        self._auth = auth
        self._entries: dict[str, Entry] = {}
        self._exist = False
        # Who shows a key that is not known is compared with this: with the operator's key, or with what nothing equals.
        digest = digest_of(admin_key) if admin_key else secrets.token_bytes(32)
        self._otherwise = Entry(Caller(ADMIN_NAME, "admin", id=ADMIN_NAME), digest)
        self._has_admin_key = bool(admin_key)
        self.is_open = auth == "off"
        self.is_open_to_all = auth == "off"

    @property
    def access(self) -> Literal["keys", "this machine", "everybody"]:
        """Who comes in, for the log."""
        if self.is_open_to_all:
            return "everybody"
        return "this machine" if self.is_open else "keys"

    def listen(self, changes: Changes) -> None:
        """Follow what becomes of the keys."""
        changes.listen(TOPIC, self._reload)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write back when keys were used: now and then, and at the end."""
        noting = asyncio.create_task(self._note_uses_often())
        try:
            yield
        finally:
            noting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await noting
            await self._note_uses()

    def caller(self, key: str) -> Caller:
        """Whose key this is. Takes as long for one that is not known as for one that is. Raises: Unauthenticated."""
        # `id_in` and `digest_of`, written out: every request comes by here.
        entry = self._entries.get(key[ID_AT], self._otherwise)
        if not compare_digest(sha256(key.encode()).digest(), entry.digest):
            raise Unauthenticated("The key is not known here.")
        now_s = time.time()
        if now_s >= entry.expires_s:
            raise Unauthenticated("The key has expired.")
        entry.used_s = now_s
        return entry.caller

    async def _reload(self, key_id: str | None) -> None:
        known = {found.key.id: self._entry(found) for found in await self._keys.known(key_id)}
        if key_id is None:
            self._entries = known
        else:
            self._entries.pop(key_id, None)
            self._entries.update(known)
        self._exist = self._exist or bool(known) or await self._keys.exist()
        self.is_open = self.is_open_to_all or (self._auth == "auto" and not self._exist and not self._has_admin_key)

    def _entry(self, found: KnownKey) -> Entry:
        key = found.key
        expires_s = math.inf if key.expires_ms is None else key.expires_ms / 1000
        caller = Caller(key.name, key.role, scope_of(key.workspaces), key.id)
        entry = Entry(caller, found.digest, expires_s=expires_s)
        if (before := self._entries.get(key.id)) is not None:
            entry.used_s, entry.noted_s = before.used_s, before.noted_s
        return entry

    async def _note_uses_often(self) -> None:
        while True:
            await asyncio.sleep(NOTE_USES_EVERY_S)
            await self._note_uses()

    async def _note_uses(self) -> None:
        used = [
            (key_id, entry, entry.used_s) for key_id, entry in self._entries.items() if entry.used_s > entry.noted_s
        ]
        if not used:
            return
        try:
            await self._keys.note_uses([(key_id, int(used_s * 1000)) for key_id, _, used_s in used])
        except DatabaseUnavailable as error:
            _log.warning("uses of keys not noted", reason=str(error))  # they stay to be noted
            return
        for _, entry, used_s in used:
            entry.noted_s = used_s
