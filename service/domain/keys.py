"""Keys: how one is made, what is kept of it, and what a new one may say."""

import json
import re
import secrets
import string
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Literal, NamedTuple, cast, get_args

from service.domain.access import Role, Scope
from service.domain.names import WORKSPACE_NAME
from service.domain.times import LAST_MS, parse_rfc3339
from service.domain.values import Problems, check_values, join, must_be, shown

ROLES: Final = get_args(Role)
NAME_MAX: Final = 64
WORKSPACES_MAX: Final = 100
_ID_LENGTH: Final = 12
_SECRET_LENGTH: Final = 38
"""226 bits; and the whole is 54 characters, which SHA-256 takes in one block."""
_ID_LETTERS: Final = string.ascii_lowercase + string.digits
_SECRET_LETTERS: Final = string.ascii_letters + string.digits
ID_AT: Final = slice(len("sk_"), len("sk_") + _ID_LENGTH)
KEY: Final = re.compile(rf"sk_[a-z0-9]{{{_ID_LENGTH}}}_[A-Za-z0-9]{{{_SECRET_LENGTH}}}", re.ASCII)

ADMIN_NAME: Final = "ADMIN_KEY"
COMMAND_LINE: Final = "skep keys"
TAKEN_NAMES: Final = frozenset({"anonymous", "nobody", ADMIN_NAME.lower(), COMMAND_LINE, "skep secrets"})
"""Who else is named in the audit log."""

_DURATION: Final = re.compile(r"([1-9][0-9]{0,8})([smhdw])", re.ASCII)
_UNIT_MS: Final = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_FIELDS: Final = ("name", "role", "workspaces", "expires")


class Minted(NamedTuple):
    """A key that was just made: the only moment at which anybody has it."""

    id: str
    key: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class NewKey:
    """What somebody asks for."""

    name: str
    role: Role
    workspaces: tuple[str, ...] | None = None
    """Names, and prefixes with a star at the end; None for everything."""
    expires_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """What is known of a key."""

    id: str
    name: str
    role: Role
    workspaces: tuple[str, ...] | None
    created_ms: int
    expires_ms: int | None
    used_ms: int | None
    revoked_ms: int | None

    def state(self, at_ms: int) -> Literal["good", "expired", "revoked"]:
        """What it is worth at this time."""
        if self.revoked_ms is not None:
            return "revoked"
        return "expired" if self.expires_ms is not None and at_ms >= self.expires_ms else "good"


def mint() -> Minted:
    """A key nobody has or can guess."""
    public = "".join(secrets.choice(_ID_LETTERS) for _ in range(_ID_LENGTH))
    key = f"sk_{public}_{''.join(secrets.choice(_SECRET_LETTERS) for _ in range(_SECRET_LENGTH))}"
    return Minted(public, key, digest_of(key))


def digest_of(key: str) -> bytes:
    """What a key is kept as. Without salt or stretching: what is random in all of its bits needs neither."""
    return sha256(key.encode()).digest()


def id_in(key: str) -> str:
    """The part of a key that may be shown; of other text, whatever stands there."""
    return key[ID_AT]


def without_keys(text: str) -> str:
    """A text in which no key is left, for a log."""
    return KEY.sub(lambda found: f"sk_{id_in(found[0])}_...", text) if "sk_" in text else text


def scope_of(workspaces: Sequence[str] | None) -> Scope | None:
    """What names and prefixes cover."""
    if workspaces is None:
        return None
    return Scope(
        frozenset(given for given in workspaces if not given.endswith("*")),
        tuple(given.removesuffix("*") for given in workspaces if given.endswith("*")),
    )


def workspaces_from(stored: str | None) -> tuple[str, ...] | None:
    """As they are in the database."""
    return None if stored is None else tuple(json.loads(stored))


def check_new_key(document: object, *, now_ms: int) -> NewKey:
    """What a document asks for. Raises: InvalidRequest with every problem."""
    problems = Problems()
    if not check_values(document, problems):
        problems.raise_if_any()
    if not isinstance(document, dict):
        problems.add("", must_be("an object", document))
        problems.raise_if_any()
    given = cast("dict[Any, Any]", document)
    for field in given:
        if isinstance(field, str) and field not in _FIELDS:
            problems.add(shown(field), f"is no field of a key; its fields are {', '.join(_FIELDS)}")
    for field in ("name", "role"):
        if field not in given:
            problems.add(field, "is required")
    if "name" in given:
        _check_name(given["name"], problems)
    if "role" in given and not (isinstance(given["role"], str) and given["role"] in ROLES):
        problems.add("role", f"must be one of {', '.join(ROLES)}")
    workspaces = given.get("workspaces")
    if workspaces is not None:
        _check_workspaces(workspaces, problems)
    expires_ms = _expiry(given.get("expires"), now_ms, problems)
    problems.raise_if_any()
    return NewKey(
        given["name"], given["role"], None if workspaces is None else tuple(dict.fromkeys(workspaces)), expires_ms
    )


def _check_name(name: object, problems: Problems) -> None:
    if not isinstance(name, str):
        problems.add("name", must_be("a string", name))
    elif not 0 < len(name) <= NAME_MAX or name != name.strip() or not name.isprintable():
        problems.add("name", f"must have 1 to {NAME_MAX} printable characters, and no blank at either end")
    elif KEY.search(name) is not None:
        problems.add("name", "must not be a key: it is shown to others")
    elif unicodedata.normalize("NFKC", name).lower() in TAKEN_NAMES:
        problems.add("name", f"{name!r} is somebody else in the audit log")


def _check_workspaces(workspaces: object, problems: Problems) -> None:
    if not isinstance(workspaces, list):
        problems.add("workspaces", must_be("an array of names and prefixes such as 'team-*'", workspaces))
        return
    if not 0 < len(workspaces) <= WORKSPACES_MAX:
        problems.add("workspaces", f"must have 1 to {WORKSPACES_MAX} names; leave it out for all workspaces")
        return
    for index, workspace in enumerate(workspaces):
        place = join("workspaces", str(index))
        if not isinstance(workspace, str):
            problems.add(place, must_be("a string", workspace))
        elif WORKSPACE_NAME.fullmatch(workspace.removesuffix("*")) is None:
            advice = "; leave workspaces out for all of them" if workspace == "*" else ""
            problems.add(place, f"is neither the name of a workspace nor a prefix such as 'team-*'{advice}")


def _expiry(given: object, now_ms: int, problems: Problems) -> int | None:
    if given is None:
        return None
    if not isinstance(given, str):
        problems.add("expires", must_be("a string", given))
        return None
    duration = _DURATION.fullmatch(given)
    try:
        expires_ms = now_ms + int(duration[1]) * _UNIT_MS[duration[2]] if duration else parse_rfc3339(given)
    except ValueError:
        problems.add("expires", "must be a time such as 2030-01-31T12:00:00Z, or from now on, such as 30d or 12h")
        return None
    if not now_ms < expires_ms <= LAST_MS:
        problems.add("expires", "must be in the future, and before the year 10000")
    return expires_ms
