"""Another key for all secrets, while services run: at every moment each can be read with what stands in the file.

1. The new key is put before the old ones, in one step: from then on it encrypts, and all of them decrypt.
2. Every row is encrypted anew, some at a time. Services hear of it as of any change.
3. When no row needs them any more, the old keys are taken out of the file.

Ended anywhere in between, everything is readable, and the next rotation goes on. Services that run keep the keys they
have seen, so that one that is behind reads on.
"""

import asyncio
from typing import Final

from service.database import audit
from service.database.audit import Actor
from service.database.database import Database, Writing
from service.database.key_file import KeyFileUnusable, read_keys, write_keys
from service.database.sealing_keys import SealingKeys
from service.database.secrets import TOPIC
from service.domain.sealing import CannotUnseal, Key, Place, new_key, seal, unseal
from service.errors import SecretsUnreadable

AT_ONCE: Final = 100
_ACTOR: Final = Actor("skep secrets", "")


async def rotate(database: Database, keys: SealingKeys) -> int:
    """Returns how many secrets were encrypted anew. With keys in the setting the first of those is the new one, and no
    file is changed. Raises: SecretsUnreadable, before anything was changed; DatabaseUnavailable.
    """
    await asyncio.to_thread(keys.refresh)
    unknown = [row["key_id"] for row in await database.rows("SELECT DISTINCT key_id FROM secrets")]
    if missing := [key_id for key_id in unknown if keys.find(key_id) is None]:
        raise SecretsUnreadable(
            f"Secrets were encrypted with keys that are not there: {', '.join(missing)}. {keys.trouble}".rstrip()
        )
    if not keys.given:
        await asyncio.to_thread(_put_new_key_first, keys)
    key = keys.first
    if key is None:
        raise SecretsUnreadable(f"There is no key: {keys.trouble}.")
    count = 0
    while True:
        async with database.writing() as write:
            rotated = await _rotate_some(write, keys, key)
            if not rotated and not keys.given:
                # Nobody encrypts meanwhile, and who does later sees this file.
                await asyncio.to_thread(write_keys, keys.path, [key])
            if not rotated:
                await audit.append(write, _ACTOR, "secrets.rotated", details={"secrets": count, "key": key.id})
        if not rotated:
            return count
        count += rotated


async def _rotate_some(write: Writing, keys: SealingKeys, key: Key) -> int:
    rows = await write.rows("SELECT * FROM secrets WHERE key_id <> ? LIMIT ?", (key.id, AT_ONCE))
    for row in rows:
        place = Place(row["workspace"], row["name"], row["version"])
        try:
            sealed = seal(key, place, _unsealed(keys, row["key_id"], place, row["sealed"]))
        except CannotUnseal:
            raise SecretsUnreadable(
                f"The secret {place.name!r} of the workspace {place.workspace!r} was damaged, or encrypted with a key "
                "that is not there. Delete it, and rotate again."
            ) from None
        await write.execute(
            "UPDATE secrets SET key_id = ?, sealed = ? WHERE workspace = ? AND name = ?",
            (key.id, sealed, place.workspace, place.name),
        )
    for workspace in {row["workspace"] for row in rows}:
        await write.changed(TOPIC, workspace)
    return len(rows)


def _unsealed(keys: SealingKeys, key_id: str, place: Place, sealed: bytes) -> str:
    key = keys.find(key_id)
    if key is None:
        raise CannotUnseal
    return unseal(key, place, sealed)


def _put_new_key_first(keys: SealingKeys) -> None:
    try:
        there = read_keys(keys.path)
        if len(there) > 1:
            # A rotation that was not finished: the new key is there already.
            keys.refresh()
            return
        write_keys(keys.path, [new_key(), *there])
    except KeyFileUnusable as error:
        raise SecretsUnreadable(f"The key cannot be changed: {error}.") from None
    except OSError as error:
        raise SecretsUnreadable(f"The key file {keys.path} cannot be written: {error.strerror}.") from error
    keys.refresh()
