"""`skep keys`: make, list and revoke keys, whether the service runs or not."""

import argparse
import sys
from typing import Any, Final

from service.database.audit import Actor
from service.database.changes import Changes
from service.database.database import Database
from service.database.keys import Keys
from service.domain.keys import COMMAND_LINE, ROLES, Key, check_new_key
from service.domain.times import now_ms, rfc3339
from service.errors import InvalidRequest, SkepError
from service.settings import Settings

BAD_ARGUMENTS: Final = 2
_PAGE: Final = 500
_ACTOR: Final = Actor(COMMAND_LINE, "")
_HEADINGS: Final = ("ID", "NAME", "ROLE", "WORKSPACES", "STATE", "CREATED", "EXPIRES", "LAST USED")


def add_arguments(commands: Any) -> None:
    """Tell the command line of it."""
    parser = commands.add_parser(
        "keys", help="make, list and revoke keys", description="Works on DATABASE_PATH, while the service runs or not."
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="create|list|revoke")
    create = verbs.add_parser("create", help="make a key; it is printed once and kept nowhere")
    create.add_argument("--name", required=True, help="what the audit log calls it")
    create.add_argument("--role", required=True, help=", ".join(ROLES))
    create.add_argument(
        "--workspace", action="append", dest="workspaces", metavar="W",
        help="a workspace it is for, or several as a prefix such as 'team-*'; may be repeated; all unless given",
    )  # fmt: skip
    create.add_argument("--expires", help="a time such as 2030-01-31T12:00:00Z, or from now on: 30d, 12h")
    verbs.add_parser("list", help="show what is known of all keys")
    revoke = verbs.add_parser("revoke", help="make a key good for nothing, at once")
    revoke.add_argument("id", help="of the key, as `skep keys list` shows it")


async def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Returns 0 if it is done, 1 if it could not be, 2 if what was asked for cannot be."""
    database = Database(settings.database_path)
    try:
        await database.open()
        # What is changed here is announced to services that run on the same database.
        async with Changes(database).running():
            await _VERBS[arguments.verb](Keys(database), arguments)
    except InvalidRequest as invalid:
        for problem in invalid.problems:
            _say(f"{problem.path} {problem.message}")
        return BAD_ARGUMENTS
    except SkepError as error:
        _say(str(error))
        return 1
    finally:
        await database.close()
    return 0


async def _create(keys: Keys, arguments: argparse.Namespace) -> None:
    asked = {field: getattr(arguments, field) for field in ("name", "role", "workspaces", "expires")}
    key, minted = await keys.create(check_new_key(asked, now_ms=now_ms()), _ACTOR)
    _say(f"Made the key {key.id} ({key.name}, {key.role}). It is shown now and never again:")
    # Alone on the standard output, for `KEY=$(skep keys create …)`.
    print(minted.key)  # noqa: T201  # for a person at a terminal


async def _list(keys: Keys, _arguments: argparse.Namespace) -> None:
    after = 0
    rows: list[tuple[str, ...]] = [_HEADINGS]
    while True:
        page, following = await keys.page(_ACTOR, after=after, limit=_PAGE)
        rows += [_row(key, now_ms()) for key in page]
        if following is None:
            break
        after = following
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(map(str.ljust, row, widths)).rstrip())  # noqa: T201  # for a person at a terminal


async def _revoke(keys: Keys, arguments: argparse.Namespace) -> None:
    key = await keys.revoke(arguments.id, _ACTOR)
    _say(f"The key {key.id} ({key.name}) is good for nothing now.")


def _row(key: Key, at_ms: int) -> tuple[str, ...]:
    times = ("" if ms is None else rfc3339(ms) for ms in (key.created_ms, key.expires_ms, key.used_ms))
    return (key.id, key.name, key.role, " ".join(key.workspaces or ("all",)), key.state(at_ms), *times)


def _say(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201  # for a person at a terminal


_VERBS: Final = {"create": _create, "list": _list, "revoke": _revoke}
