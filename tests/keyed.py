"""A Skep that asks for keys, and one key of every kind for it."""

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from service.database.audit import Actor
from service.database.database import Database
from service.database.keys import Keys
from service.domain.access import Role
from service.domain.keys import NewKey
from tests.skep import Answer, Client, Skep, client_of, running_skep

ADMIN_KEY = "the-operators-own-key-0123456789"
TESTER = Actor("tester", "")
RIGHT, WRONG, ABSENT = "team-right", "other", "other-that-is-nowhere"
"""The workspaces that are looked for: covered by `team-*`, not covered, and not covered and not there."""

Reach = Literal["all", "right", "wrong"]
WORKSPACES: Mapping[Reach, tuple[str, ...] | None] = {"all": None, "right": ("team-*",), "wrong": ("elsewhere", "oth")}


@dataclass(frozen=True)
class Shown:
    """What a caller shows, and what is behind it; no role for what is not good."""

    what: str
    headers: Mapping[str, str]
    role: Role | None = None
    reach: Reach = "all"


@dataclass(frozen=True)
class Keyed:
    """The service and the callers it knows."""

    skep: Skep
    shown: tuple[Shown, ...]

    def by(self, what: str) -> Mapping[str, str]:
        """The headers of one of them."""
        (found,) = [shown.headers for shown in self.shown if shown.what == what]
        return found


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def basic(key: str, password: str = "") -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{key}:{password}'.encode()).decode()}"}


@asynccontextmanager
async def keys_of(path: Path) -> AsyncIterator[Keys]:
    """The keys of a database that no service need have open."""
    database = Database(path)
    await database.open()
    try:
        yield Keys(database)
    finally:
        await database.close()


async def _everybody(path: Path) -> tuple[Shown, ...]:
    shown = [Shown("nobody", {}), Shown("unknown", bearer(f"sk_{'a' * 12}_{'b' * 38}"))]
    shown.append(Shown("the operator", bearer(ADMIN_KEY), "admin"))
    async with keys_of(path) as keys:
        for role in get_args(Role):
            for reach, workspaces in WORKSPACES.items():
                _, minted = await keys.create(NewKey(f"{role} {reach}", role, workspaces), TESTER)
                shown.append(Shown(f"{role} {reach}", bearer(minted.key), role, reach))
                if role == "deploy":
                    shown.append(Shown(f"basic {reach}", basic(minted.key, "ignored"), role, reach))
        _, expired = await keys.create(NewKey("expired", "admin", expires_ms=1), TESTER)
        gone, revoked = await keys.create(NewKey("revoked", "admin"), TESTER)
        await keys.revoke(gone.id, TESTER)
    return (*shown, Shown("expired", bearer(expired.key)), Shown("revoked", bearer(revoked.key)))


@contextmanager
def running_keyed(folder: Path) -> Iterator[Keyed]:
    """With `RIGHT` and `WRONG` deployed, each with a function `f`."""
    shown = asyncio.run(_everybody(folder / "skep.db"))
    # Some hundred bad keys come from one address here.
    with running_skep(folder, {"ADMIN_KEY": ADMIN_KEY, "AUTH_FAILURES_MAX": 1_000_000}) as skep:
        keyed = Keyed(skep, shown)
        asyncio.run(_deploy(keyed))
        yield keyed


async def _deploy(keyed: Keyed) -> None:
    async with client_of(keyed.skep) as client:
        for workspace in (RIGHT, WRONG):
            answer = await call(client, "POST", f"/v2/functions/{workspace}", keyed.by("the operator"), FUNCTIONS)
            assert answer.status == 200, answer.body


FUNCTIONS = {"functions": {"f": {"code": "return 1"}}}


async def call(
    client: Client, method: str, path: str, headers: Mapping[str, str] | None = None, json: object = None
) -> Answer:
    """One request with these headers."""
    return await client.call(method, path, headers=headers, **({} if json is None else {"json": json}))
