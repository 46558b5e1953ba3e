"""The keys of secrets: made once, for the service alone, changed while services run, and never replaced by mistake."""

import asyncio
import os
import secrets as library
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from service.database import rotation
from service.database.audit import Actor
from service.database.changes import Changes
from service.database.database import Database
from service.database.key_file import KeyFileUnusable, make_key, read_keys, write_keys
from service.database.rotation import rotate
from service.database.sealing_keys import SealingKeys, key_path
from service.database.secrets import TOPIC, Secrets
from service.domain.sealing import CannotUnseal, Key, Place, new_key, parse_key, seal, unseal
from service.errors import SecretsUnreadable
from service.settings import load_settings
from service.settings.declaring import InvalidSettings
from tests.skep import client_of, running_skep

ACTOR = Actor("somebody", "127.0.0.1")
PLACE = Place("w", "A", "1")


@asynccontextmanager
async def opened(folder: Path, *given: Key) -> AsyncIterator[tuple[Database, Secrets, SealingKeys]]:
    """What a service has of a database, in this process."""
    database = Database(folder / "skep.db")
    keys = SealingKeys(given, key_path(database.path))
    secrets = Secrets(database, keys)
    changes = Changes(database)
    changes.listen(TOPIC, secrets.reload)
    await database.open()
    try:
        async with changes.running():
            yield database, secrets, keys
    finally:
        await database.close()


async def values(secrets: Secrets, workspace: str = "w") -> dict[str, str]:
    held = secrets.of(workspace)
    return {} if held is None else (await held.open())[0]


@pytest.mark.parametrize("other", [Place("v", "A", "1"), Place("w", "B", "1"), Place("w", "A", "2")])
def test_what_was_sealed_for_one_place_is_worth_nothing_in_another(other: Place) -> None:
    key = new_key()
    sealed = seal(key, PLACE, "välue")
    assert unseal(key, PLACE, sealed) == "välue"
    for wrong, place, content in ((key, other, sealed), (new_key(), PLACE, sealed), (key, PLACE, sealed[:-1] + b"x")):
        with pytest.raises(CannotUnseal):
            unseal(wrong, place, content)


def test_keys_are_read_in_base64_and_hex_and_shown_nowhere() -> None:
    key = new_key()
    assert {parse_key(text).id for text in (key.written(), key.written().rstrip("="), key.content.hex())} == {key.id}
    assert key.written() not in repr(key)
    for text in ("", "short", "ü" * 64, "g" * 64, key.written() + "AAAA"):
        with pytest.raises(ValueError, match="must be 32 bytes in base64 or hex"):
            parse_key(text)


def test_a_key_file_is_made_once_and_read_by_nobody_else(tmp_path: Path) -> None:
    path = tmp_path / "key"
    assert read_keys(path) == ()
    make_key(path)
    (key,) = read_keys(path)
    make_key(path)
    assert read_keys(path) == (key,)
    write_keys(path, [new_key(), key])
    assert read_keys(path)[1] == key
    assert [entry.name for entry in tmp_path.iterdir()] == ["key"]
    path.chmod(0o640)
    with pytest.raises(KeyFileUnusable, match="can be read by others"):
        read_keys(path)
    for content in ("", "no key\n", f"{key.written()}\nno key\n"):
        path.write_text(content)
        path.chmod(0o600)
        with pytest.raises(KeyFileUnusable):
            read_keys(path)


async def test_what_is_no_file_is_no_key_file_and_nobody_waits_for_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as (database, secrets, keys):
        keys.path.rename(tmp_path / "aside")
        os.mkfifo(keys.path, 0o600)
        async with asyncio.timeout(10):
            with pytest.raises(SecretsUnreadable, match="No secret can be set"):
                await secrets.set(ACTOR, "w", "A", "value")
            assert "is no regular file" in secrets.trouble
        assert await database.rows("SELECT 1 FROM secrets") == []
    keys.path.unlink()
    keys.path.symlink_to("aside")
    with pytest.raises(KeyFileUnusable, match="is a symbolic link"):
        read_keys(keys.path)
    keys.path.unlink()
    keys.path.mkdir()
    with pytest.raises(KeyFileUnusable, match="is no regular file"):
        read_keys(keys.path)


async def test_a_row_that_was_moved_is_not_read(tmp_path: Path) -> None:
    async with opened(tmp_path) as (database, secrets, _):
        await secrets.set(ACTOR, "victim", "A", "value")
        await secrets.set(ACTOR, "thief", "B", "other")
        async with database.writing() as write:
            await write.execute(
                "UPDATE secrets SET (sealed, version, key_id) = "
                "(SELECT sealed, version, key_id FROM secrets WHERE workspace = 'victim') WHERE workspace = 'thief'"
            )
            await write.changed(TOPIC, "thief")
        assert await values(secrets, "victim") == {"A": "value"}
        with pytest.raises(SecretsUnreadable, match="'B' of the workspace 'thief'"):
            await values(secrets, "thief")


async def test_without_its_key_nothing_is_read_or_written_and_nothing_is_lost(tmp_path: Path) -> None:
    async with opened(tmp_path) as (_, secrets, _):
        await secrets.set(ACTOR, "w", "A", "value")
        assert secrets.trouble == ""
    key_file, aside = tmp_path / "skep.db.key", tmp_path / "aside"
    key_file.rename(aside)
    async with opened(tmp_path) as (_, secrets, _):
        assert not key_file.exists()
        assert "is missing" in secrets.trouble
        with pytest.raises(SecretsUnreadable, match="does not have the key") as refused:
            await values(secrets)
        assert str(tmp_path) not in str(refused.value)
        with pytest.raises(SecretsUnreadable, match="No secret can be set"):
            await secrets.set(ACTOR, "other", "A", "value")
    async with opened(tmp_path, new_key()) as (_, secrets, _):
        assert "keys that are not there" in secrets.trouble
        with pytest.raises(SecretsUnreadable, match="may be the wrong ones"):
            await secrets.set(ACTOR, "other", "A", "value")
        await secrets.delete(ACTOR, "w", "A")
        await secrets.set(ACTOR, "other", "A", "value")
        assert await values(secrets, "other") == {"A": "value"}


async def test_another_key_in_the_file_is_noticed_while_the_old_one_is_still_in_memory(tmp_path: Path) -> None:
    async with opened(tmp_path) as (_, secrets, keys):
        await secrets.set(ACTOR, "w", "A", "value")
        before = read_keys(keys.path)
        assert await secrets.look() == ""
        write_keys(keys.path, [new_key()])
        assert "put them back into" in await secrets.look()
        assert await values(secrets) == {"A": "value"}
        with pytest.raises(SecretsUnreadable, match="may be the wrong ones"):
            await secrets.set(ACTOR, "w", "B", "value")
        write_keys(keys.path, before)
        assert await secrets.look() == ""
        await secrets.set(ACTOR, "w", "B", "value")


async def test_a_service_on_the_same_database_sees_what_another_sets(tmp_path: Path) -> None:
    key = new_key()
    async with opened(tmp_path, key) as (_, one, _), opened(tmp_path, key) as (_, other, _):
        await one.set(ACTOR, "w", "A", "value")
        await other.reload("w")
        assert await values(other) == {"A": "value"}
        assert one.version("w", 1) == other.version("w", 1) != 1
        await one.delete(ACTOR, "w", "A")
        await other.reload(None)
        assert other.version("w", 1) == 1


async def test_rotation_changes_the_key_and_no_value_while_a_service_runs(tmp_path: Path) -> None:
    async with opened(tmp_path) as (database, secrets, keys):
        for number in range(5):
            await secrets.set(ACTOR, f"w{number % 2}", f"A{number}", f"value{number}")
        before, held = keys.first, secrets.of("w0")
        assert held is not None
        _, mask = await held.open()
        assert await rotate(database, SealingKeys((), keys.path)) == 5
        (after,) = read_keys(keys.path)
        assert after != before
        # The service that runs reads on, its workers stay, and it encrypts with the new key.
        assert await values(secrets, "w1") == {"A1": "value1", "A3": "value3"}
        rotated = secrets.of("w0")
        assert rotated is not held
        assert rotated is not None
        assert (rotated.version_of(1), rotated.mask) == (held.version_of(1), mask)
        await secrets.set(ACTOR, "w1", "A1", "another")
        rows = await database.rows("SELECT DISTINCT key_id FROM secrets")
        assert [row["key_id"] for row in rows] == [after.id]
    async with opened(tmp_path) as (_, secrets, _):
        assert await values(secrets, "w1") == {"A1": "another", "A3": "value3"}


async def test_a_rotation_that_was_ended_half_way_leaves_everything_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "AT_ONCE", 1)
    steps = 0
    real = rotation._rotate_some  # to be ended between its steps

    async def ended(*arguments: object) -> int:
        nonlocal steps
        steps += 1
        if steps == 3:
            raise KeyboardInterrupt
        return await real(*arguments)  # type: ignore[arg-type] # whatever it was given

    everything = {f"A{number}": f"value{number}" for number in range(4)}
    async with opened(tmp_path) as (database, secrets, keys):
        for name, value in everything.items():
            await secrets.set(ACTOR, "w", name, value)
        monkeypatch.setattr(rotation, "_rotate_some", ended)
        with pytest.raises(KeyboardInterrupt):
            await rotate(database, SealingKeys((), keys.path))
        monkeypatch.setattr(rotation, "_rotate_some", real)
        assert len(read_keys(keys.path)) == 2
    async with opened(tmp_path) as (database, secrets, keys):
        assert await values(secrets) == everything
        assert await rotate(database, SealingKeys((), keys.path)) == 2
        assert len(read_keys(keys.path)) == 1
    async with opened(tmp_path) as (_, secrets, _):
        assert await values(secrets) == everything


async def test_keys_of_the_setting_take_over_from_the_file_and_from_each_other(tmp_path: Path) -> None:
    first, second = new_key(), new_key()
    async with opened(tmp_path) as (_, secrets, _):
        await secrets.set(ACTOR, "w", "A", "value")
    file = (tmp_path / "skep.db.key").read_bytes()
    async with opened(tmp_path, first) as (database, secrets, _):
        assert await values(secrets) == {"A": "value"}
        assert await rotate(database, SealingKeys([first], key_path(database.path))) == 1
    assert (tmp_path / "skep.db.key").read_bytes() == file
    (tmp_path / "skep.db.key").unlink()
    async with opened(tmp_path, second, first) as (database, secrets, _):
        assert await values(secrets) == {"A": "value"}
        assert await rotate(database, SealingKeys([second, first], key_path(database.path))) == 1
    async with opened(tmp_path, second) as (database, secrets, _):
        assert await values(secrets) == {"A": "value"}
        with pytest.raises(SecretsUnreadable, match="keys that are not there"):
            await rotate(database, SealingKeys([first], key_path(database.path)))


async def test_a_service_without_the_key_runs_and_says_so_and_the_command_changes_it(tmp_path: Path) -> None:
    (tmp_path / "functions" / "w").mkdir(parents=True)
    definition = "functions:\n  f:\n    code: return dict(secrets)\n"
    (tmp_path / "functions" / "w" / "workspace.yaml").write_text(definition)
    async with opened(tmp_path) as (_, secrets, _):
        await secrets.set(ACTOR, "w", "A", "value")
    key_file, aside = tmp_path / "skep.db.key", tmp_path / "aside"
    key_file.rename(aside)
    with running_skep(tmp_path) as skep:
        async with client_of(skep) as client:
            assert (await client.call("GET", "/sys/ready")).body == {
                "status": "ready", "database": "ok", "secrets": "unreadable: the log says why",
            }  # fmt: skip
            refused = await client.run("w", "f")
            assert (refused.status, refused.body["error"]) == (503, "ServiceUnavailable")
            assert "The secrets of the workspace 'w' cannot be read" in refused.body["message"]
            assert (await client.inline("free", "return 1")).result == 1
            assert [line for line in skep.log_lines() if line["event"] == "secrets unreadable"]
            aside.rename(key_file)
            assert (await client.run("w", "f")).result == {"A": "value"}
            assert (await client.call("GET", "/sys/ready")).body == {"status": "ready", "database": "ok"}
            command = [sys.executable, "-m", "service", "secrets", "rotate"]
            environment = {"DATABASE_PATH": str(tmp_path / "skep.db")}
            done = subprocess.run(  # noqa: ASYNC221  # nothing else happens meanwhile
                command, env=environment, capture_output=True, text=True, check=False
            )
            assert (done.returncode, done.stdout.split(",")[0]) == (0, "1 secrets encrypted anew"), done.stderr
            assert (await client.run("w", "f")).result == {"A": "value"}
            assert (await client.call("PUT", "/v2/functions/w/secrets/B", json={"value": "b"})).status == 204
            assert (await client.run("w", "f")).result == {"A": "value", "B": "b"}


def test_a_bad_setting_is_not_repeated() -> None:
    given = library.token_hex(31)
    with pytest.raises(InvalidSettings) as refused:
        load_settings({"SECRETS_KEY": given})
    assert str(refused.value) == "SECRETS_KEY must be 32 bytes in base64 or hex"
    settings = load_settings({"SECRETS_KEY": f"{given}00, {new_key().written()}"})
    assert len(settings.secrets_keys) == 2
    assert given not in repr(settings)
