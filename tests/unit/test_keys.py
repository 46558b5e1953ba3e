"""Keys by themselves: how they are made, what a new one may say, and how bad ones are counted."""

import re
import time
from typing import Any

import pytest

from service.domain.keys import KEY, Key, check_new_key, digest_of, id_in, mint, scope_of, without_keys
from service.domain.times import LAST_MS, rfc3339
from service.errors import InvalidRequest, TooManyBadKeys
from service.http import failures
from service.http.failures import Failures, subscriber_of
from service.settings import load_settings
from service.settings.declaring import InvalidSettings

NOW_MS = 1_800_000_000_000


def test_a_key_has_a_part_to_show_and_one_to_keep() -> None:
    minted = mint()
    assert KEY.fullmatch(minted.key)
    assert id_in(minted.key) == minted.id
    assert digest_of(minted.key) == minted.digest
    assert len({mint().key for _ in range(100)}) == 100


def test_a_text_without_keys_says_which_they_were() -> None:
    key = mint().key
    assert without_keys(f"/a/{key}/{key}") == f"/a/sk_{id_in(key)}_.../sk_{id_in(key)}_..."
    assert without_keys("sk_no_key") == "sk_no_key"


@pytest.mark.parametrize(
    ("workspaces", "covered", "others"),
    [
        (("a", "b"), ("a", "b"), ("ab", "A", "", "c")),
        (("team-*",), ("team-", "team-a", "team-a-b"), ("team", "Team-a", "a-team-")),
        (("a", "b*"), ("a", "b", "bc"), ("ab", "c")),
    ],
)
def test_a_scope_covers_names_and_prefixes(
    workspaces: tuple[str, ...], covered: tuple[str, ...], others: tuple[str, ...]
) -> None:
    scope = scope_of(workspaces)
    assert scope is not None
    assert all(scope.covers(name) for name in covered)
    assert not any(scope.covers(name) for name in others)


@pytest.mark.parametrize(
    ("given", "expires_ms"),
    [
        (None, None),
        ("30d", NOW_MS + 30 * 86_400_000),
        ("1s", NOW_MS + 1000),
        ("2w", NOW_MS + 14 * 86_400_000),
        (rfc3339(NOW_MS + 1), NOW_MS + 1),
        ("2030-01-01T00:00:00+02:00", 1_893_448_800_000),
    ],
)
def test_an_expiry_is_a_time_or_counts_from_now(given: str | None, expires_ms: int | None) -> None:
    document = {"name": "n", "role": "read", "workspaces": ["a", "b*", "a"], "expires": given}
    new = check_new_key(document, now_ms=NOW_MS)
    assert (new.expires_ms, new.workspaces) == (expires_ms, ("a", "b*"))


@pytest.mark.parametrize(
    ("document", "paths"),
    [
        ([], [""]),
        ({}, ["name", "role"]),
        ({"name": "n", "role": "read", "key": "x", "id": "y"}, ["key", "id"]),
        ({"name": 1, "role": "Admin"}, ["name", "role"]),
        *[({"name": name, "role": "read"}, ["name"]) for name in ("", " a", "a ", "a\n", "\x00", "x" * 65, "\u202e")],
        *[({"name": name, "role": "read"}, ["name"]) for name in ("Anonymous", "ADMIN_KEY", "skep keys", "nobody")],
        ({"name": mint().key, "role": "read"}, ["name"]),
        ({"name": "n", "role": ["read"], "workspaces": []}, ["role", "workspaces"]),
        ({"name": "n", "role": "read", "workspaces": "a"}, ["workspaces"]),
        ({"name": "n", "role": "read", "workspaces": ["a"] * 101}, ["workspaces"]),
        (
            {"name": "n", "role": "read", "workspaces": ["*", "a**", "*a", "a b", 1, "ok", "-a*", "x" * 63 + "*"]},
            ["workspaces.0", "workspaces.1", "workspaces.2", "workspaces.3", "workspaces.4", "workspaces.6"],
        ),
        *[
            ({"name": "n", "role": "read", "expires": expires}, ["expires"])
            for expires in (1, "", "d", "0d", "-1d", "30", "30 d", "1y", "soon", "2030-01-01", "2030-01-01T00:00:00",
                            rfc3339(NOW_MS), rfc3339(0), "999999999w", rfc3339(LAST_MS).replace("Z", "-01:00"), "٣d")
        ],
    ],
)  # fmt: skip
def test_every_problem_of_a_new_key_is_told(document: Any, paths: list[str]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_new_key(document, now_ms=NOW_MS)
    assert sorted(problem.path for problem in caught.value.problems) == sorted(paths)


def test_a_key_is_good_until_it_expires_or_is_revoked() -> None:
    key = Key("id", "n", "read", None, 1, 100, None, None)
    assert [key.state(at_ms) for at_ms in (99, 100)] == ["good", "expired"]
    assert Key("id", "n", "read", None, 1, 100, None, 50).state(200) == "revoked"


@pytest.mark.parametrize(
    ("address", "subscriber"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_who_is_behind_an_address(address: str, subscriber: str) -> None:
    assert subscriber_of(address) == subscriber


def test_bad_keys_are_counted_by_address_and_forgiven_with_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    counted = Failures(per_minute=6)
    for last in range(6):
        counted.count(f"2001:db8::{last}")
    with pytest.raises(TooManyBadKeys) as caught:
        counted.count("2001:db8::ffff")
    assert caught.value.retry_after_s == 10
    counted.count("2001:db8:0:1::")
    now[0] = 10.0
    counted.count("2001:db8::1")
    with pytest.raises(TooManyBadKeys):
        counted.count("2001:db8::1")


def test_addresses_without_end_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "ADDRESSES_MAX", 10)
    counted = Failures(per_minute=1)
    for last in range(100):
        counted.count(f"192.0.2.{last}")
    assert len(counted._left) == 10


@pytest.mark.parametrize("value", ["short", "x" * 23, "x" * 513, "has a blank in the middle", "ü" * 30, "a:b" * 10])
def test_a_poor_admin_key_is_refused_and_not_repeated(value: str) -> None:
    with pytest.raises(InvalidSettings) as caught:
        load_settings({"ADMIN_KEY": value})
    assert "ADMIN_KEY must have 24 to 512 characters" in str(caught.value)
    assert value not in str(caught.value)


def test_the_admin_key_is_in_no_text_of_the_settings() -> None:
    key = "0123456789" * 3
    settings = load_settings({"ADMIN_KEY": key, "AUTH": "ON", "AUTH_FAILURES_MAX": "5"})
    assert (settings.admin_key, settings.auth, settings.auth_failures_max) == (key, "on", 5)
    assert not re.search(key, repr(settings))
