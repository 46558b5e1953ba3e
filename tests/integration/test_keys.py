"""Keys while a service runs: made and revoked from elsewhere, known at the next request, written down when used."""

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from service.commands import keys as command
from service.database.changes import Changes
from service.database.database import Database
from service.database.keys import Keys
from service.domain.keys import NewKey, digest_of
from service.errors import KeyNameTaken, KeyNotFound, Unauthenticated
from service.settings import Settings
from service.usecases.keyring import Keyring
from tests.keyed import ADMIN_KEY, TESTER, Keyed, basic, bearer, call, keys_of
from tests.raw import connected, read
from tests.skep import Skep, client_of, running_skep

LIST = "/v2/functions"
Ring = tuple[Keys, Keyring, Changes]


@asynccontextmanager
async def ring_of(path: Path, *, auth: str = "auto", admin_key: str = "") -> AsyncIterator[Ring]:
    """What one service has of the keys."""
    database = Database(path)
    await database.open()
    try:
        changes, keys = Changes(database), Keys(database)
        keyring = Keyring(keys, auth=auth, admin_key=admin_key)
        keyring.listen(changes)
        async with changes.running(), keyring.running():
            yield keys, keyring, changes
    finally:
        await database.close()


def is_good(keyring: Keyring, key: str) -> bool:
    with contextlib.suppress(Unauthenticated):
        return bool(keyring.caller(key).name)
    return False


async def test_two_services_agree_on_keys(tmp_path: Path) -> None:
    path = tmp_path / "skep.db"
    async with ring_of(path) as (keys, here, _), ring_of(path) as (others, there, changes):
        assert (here.is_open, there.is_open) == (True, True)
        key, minted = await keys.create(NewKey("n", "run", ("a",)), TESTER)
        assert is_good(here, minted.key)
        assert changes.is_behind  # which is what every request looks at first
        await changes.catch_up()
        assert is_good(there, minted.key)
        assert there.caller(minted.key) == here.caller(minted.key)
        await keys.revoke(key.id, TESTER)
        await changes.catch_up()
        assert not is_good(here, minted.key)
        assert not is_good(there, minted.key)
        # What was closed stays closed.
        assert (here.is_open, there.is_open) == (False, False)
        with pytest.raises(KeyNotFound):
            await others.revoke("nothing", TESTER)


async def test_a_service_that_starts_after_the_last_key_was_revoked_is_closed(tmp_path: Path) -> None:
    async with keys_of(tmp_path / "skep.db") as keys:
        key, _ = await keys.create(NewKey("n", "admin"), TESTER)
        await keys.revoke(key.id, TESTER)
    async with ring_of(tmp_path / "skep.db") as (_, keyring, _):
        assert not keyring.is_open


async def test_a_backup_without_keys_does_not_open_a_service_that_runs(tmp_path: Path) -> None:
    async with ring_of(tmp_path / "skep.db") as (keys, keyring, _):
        _, minted = await keys.create(NewKey("n", "admin"), TESTER)
        async with keys._database.writing() as write:
            await write.execute("DELETE FROM keys")
            await write.changed("keys", minted.id)
        assert not is_good(keyring, minted.key)
        assert not keyring.is_open


async def test_uses_that_cannot_be_written_down_are_written_down_later(tmp_path: Path) -> None:
    async with ring_of(tmp_path / "skep.db") as (keys, keyring, _):
        key, minted = await keys.create(NewKey("n", "admin"), TESTER)
        keyring.caller(minted.key)
        database, keys._database = keys._database, Database(tmp_path / "not open")
        await keyring._note_uses()
        keys._database = database
        await keyring._note_uses()
        assert (await keys.read(key.id, TESTER)).used_ms is not None


@pytest.mark.parametrize(
    ("auth", "admin_key", "is_open"),
    [("auto", "", True), ("auto", ADMIN_KEY, False), ("on", "", False), ("off", "", True), ("off", ADMIN_KEY, True)],
)
async def test_when_nobody_needs_a_key(tmp_path: Path, auth: str, admin_key: str, is_open: bool) -> None:
    async with ring_of(tmp_path / "skep.db", auth=auth, admin_key=admin_key) as (_, keyring, _):
        assert keyring.is_open == is_open
        assert keyring.is_open_to_all == (auth == "off")
        assert is_good(keyring, ADMIN_KEY) == bool(admin_key)
        # Without one, what stands in its place is no key either.
        assert not is_good(keyring, "")


async def test_only_its_hash_is_compared_and_every_letter_of_a_key_counts(tmp_path: Path) -> None:
    async with ring_of(tmp_path / "skep.db", admin_key=ADMIN_KEY) as (keys, keyring, _):
        _, minted = await keys.create(NewKey("n", "run"), TESTER)
        for index, letter in enumerate(minted.key):
            other = "A" if letter != "A" else "B"
            assert not is_good(keyring, minted.key[:index] + other + minted.key[index + 1 :])
        for other in (minted.key[:-1], f"{minted.key}a", minted.id, digest_of(minted.key).hex(), ADMIN_KEY[:-1]):
            assert not is_good(keyring, other)
        assert is_good(keyring, minted.key)
        assert is_good(keyring, ADMIN_KEY)


async def test_a_name_is_free_again_when_its_key_was_revoked(tmp_path: Path) -> None:
    async with keys_of(tmp_path / "skep.db") as keys:
        first, _ = await keys.create(NewKey("n", "run"), TESTER)
        with pytest.raises(KeyNameTaken, match=first.id):
            await keys.create(NewKey("n", "read"), TESTER)
        await keys.revoke(first.id, TESTER)
        await keys.create(NewKey("n", "read"), TESTER)


async def test_uses_are_written_down_later_and_not_lost_at_the_end(tmp_path: Path) -> None:
    async with ring_of(tmp_path / "skep.db") as (keys, keyring, _):
        used, minted = await keys.create(NewKey("used", "run"), TESTER)
        unused, _ = await keys.create(NewKey("unused", "run"), TESTER)
        keyring.caller(minted.key)
        assert (await keys.read(used.id, TESTER)).used_ms is None
    async with keys_of(tmp_path / "skep.db") as keys:
        assert (await keys.read(used.id, TESTER)).used_ms is not None
        assert (await keys.read(unused.id, TESTER)).used_ms is None


async def test_keys_over_http(keyed: Keyed) -> None:
    admin = bearer(ADMIN_KEY)
    async with client_of(keyed.skep) as client:
        body = {"name": "over http", "role": "run", "workspaces": ["team-*"], "expires": "1h"}
        made = await call(client, "POST", "/v2/keys", admin, body)
        assert (made.status, made.headers["Cache-Control"]) == (201, "no-store")
        key, place = made.body.pop("key"), made.headers["Location"]
        assert place == f"/v2/keys/{made.body['id']}"
        assert (await call(client, "GET", place, admin)).body == made.body
        assert made.body["state"] == "good"
        assert (await call(client, "POST", "/v2/functions/team-right/run/f", bearer(key), {})).status == 200
        assert (await call(client, "POST", "/v2/keys", admin, body)).status == 409
        for _ in range(2):
            assert (await call(client, "DELETE", place, admin)).status == 204
        assert (await call(client, "POST", "/v2/functions/team-right/run/f", bearer(key), {})).status == 401
        gone = await call(client, "GET", place, admin)
        assert (gone.body["state"], gone.body["revoked"] is None) == ("revoked", False)
        for method in ("GET", "DELETE"):
            assert (await call(client, method, "/v2/keys/nothing", admin)).status == 404
        listed, cursor = list[str](), ""
        while True:
            page = await call(client, "GET", f"/v2/keys?limit=5{cursor}", admin)
            assert not [item for item in page.body["items"] if "key" in item or "digest" in item]
            listed += [item["name"] for item in page.body["items"]]
            if "cursor" not in page.body:
                break
            cursor = f"&cursor={page.body['cursor']}"
    assert len(listed) == len(set(listed))
    assert {"admin all", "expired", "revoked", "over http"} <= set(listed)


async def test_a_key_of_an_old_name_does_not_have_the_answers_of_the_old_one(keyed: Keyed) -> None:
    run_ids = list[str]()
    async with client_of(keyed.skep) as client:
        for _ in range(2):
            made = await call(client, "POST", "/v2/keys", bearer(ADMIN_KEY), {"name": "again", "role": "run"})
            once = bearer(made.body["key"]) | {"Idempotency-Key": "1"}
            for replayed in (None, "true"):
                answer = await call(client, "POST", "/v2/functions/team-right/run/f", once, {})
                assert (answer.status, answer.headers.get("Idempotency-Replayed")) == (200, replayed)
                run_ids.append(answer.headers["x-run-id"])
            await call(client, "DELETE", made.headers["Location"], bearer(ADMIN_KEY))
    assert [run_ids.index(run_id) for run_id in run_ids] == [0, 0, 2, 2]


async def _command(path: Path, capsys: pytest.CaptureFixture[str], *given: str) -> tuple[int, str, str]:
    """`skep keys`, in this process."""
    parser = argparse.ArgumentParser()
    command.add_arguments(parser.add_subparsers())
    status = await command.run(Settings(database_path=path), parser.parse_args(["keys", *given]))
    written = capsys.readouterr()
    return status, written.out, written.err


async def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "skep.db"
    async with keys_of(path):
        capsys.readouterr()  # that it was made
    asked = "create --name ci --role run --workspace a --workspace b* --expires 1d"
    status, key, said = await _command(path, capsys, *asked.split())
    key = key.strip()
    assert (status, key[:3], key in said, key[3:15] in said) == (0, "sk_", False, True)
    status, listed, _ = await _command(path, capsys, "list")
    assert (status, listed.splitlines()[1].split()[:6]) == (0, [key[3:15], "ci", "run", "a", "b*", "good"])
    assert key[-38:] not in listed
    assert (await _command(path, capsys, "revoke", key[3:15]))[0] == 0
    assert (await _command(path, capsys, "revoke", "nothing"))[0] == 1
    status, _, said = await _command(path, capsys, "create", "--name", "", "--role", "x", "--workspace", "*")
    assert (status, len(said.splitlines())) == (2, 3)


async def test_the_first_key_closes_a_service_that_runs_and_a_revoked_one_is_of_no_use(tmp_path: Path) -> None:
    with running_skep(tmp_path, {"AUTH_FAILURES_MAX": 3}) as skep:
        async with client_of(skep) as client:
            assert (await call(client, "GET", LIST)).status == 200
            made = await asyncio.to_thread(_skep_keys, skep, "create", "--name", "first", "--role", "admin")
            key = made.stdout.strip()
            assert (await call(client, "GET", LIST)).status == 401
            assert (await call(client, "GET", LIST, bearer(key))).status == 200
            # Bad keys are counted, and good ones get in all the same.
            answers = [await call(client, "GET", LIST, basic("sk_guess")) for _ in range(4)]
            assert [answer.status for answer in answers] == [401, 401, 401, 429]
            assert answers[-1].body["error"] == "TooManyRequests"
            assert int(answers[-1].headers["Retry-After"]) >= 1
            assert (await call(client, "GET", LIST)).status == 401
            assert (await call(client, "GET", LIST, bearer(key))).status == 200
        head = f"GET {LIST} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n".encode()
        async with connected(skep) as (reader, writer), keys_of(skep.folder / "skep.db") as keys:
            writer.write(head)
            assert (await read(reader))[0] == 200
            async with _announced(keys):
                await keys.revoke(key[3:15], TESTER)
            writer.write(head)
            assert (await read(reader))[0] in {401, 429}
        assert key[-38:] not in (skep.folder / "log").read_text()


@asynccontextmanager
async def _announced(keys: Keys) -> AsyncIterator[None]:
    """What is changed within is told to other services."""
    async with Changes(keys._database).running():
        yield


def _skep_keys(skep: Skep, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {"PATH": os.environ["PATH"], "DATABASE_PATH": str(skep.folder / "skep.db")}
    return subprocess.run(
        [sys.executable, "-m", "service", "keys", *arguments],
        env=environment, capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip


def test_other_machines_are_not_let_in_without_a_key(tmp_path: Path) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "PORT": "0",
        "HOST": "0.0.0.0",
        "LOG_FORMAT": "json",
        "FUNCTIONS_STORAGE_FILESYSTEM_DIRPATH": str(tmp_path / "functions"),
        "DATABASE_PATH": str(tmp_path / "skep.db"),
    }
    ended = subprocess.run(
        [sys.executable, "-m", "service"], env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    last = json.loads(ended.stdout.splitlines()[-1])
    assert (ended.returncode, last["event"]) == (2, "cannot start")
    for advice in ("HOST=0.0.0.0", "ADMIN_KEY", "skep keys create", "AUTH=off"):
        assert advice in last["reason"]
    assert '"serving"' not in ended.stdout


async def test_other_machines_are_let_in_with_auth_off(tmp_path: Path) -> None:
    with running_skep(tmp_path, {"HOST": "0.0.0.0", "AUTH": "off"}) as skep:
        async with client_of(skep) as client:
            # Who says so means it: names and pages of elsewhere, too.
            headers = {"Host": "skep.example", "Origin": "https://page.example"}
            assert (await call(client, "GET", LIST, headers)).status == 200
