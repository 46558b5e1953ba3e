"""`skep secrets`: another key for them, whether the service runs or not."""

import argparse
import sys
from typing import Any

from service.database.changes import Changes
from service.database.database import Database
from service.database.rotation import rotate
from service.database.sealing_keys import SealingKeys, key_path
from service.errors import SkepError
from service.settings import Settings


def add_arguments(commands: Any) -> None:
    """Tell the command line of it."""
    parser = commands.add_parser(
        "secrets",
        help="change the key of secrets",
        description="Works on DATABASE_PATH and SECRETS_KEY, while the service runs or not.",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="rotate")
    verbs.add_parser(
        "rotate",
        help="encrypt all secrets anew: with the first of SECRETS_KEY, else with a new key in the file",
    )


async def run(settings: Settings, _arguments: argparse.Namespace) -> int:
    """Returns 0 if it is done, 1 if it could not be: then everything can be read as before."""
    database = Database(settings.database_path)
    keys = SealingKeys(settings.secrets_keys, key_path(settings.database_path))
    try:
        await database.open()
        # What is changed here is announced to services that run on the same database.
        async with Changes(database).running():
            count = await rotate(database, keys)
    except SkepError as error:
        print(error, file=sys.stderr)  # noqa: T201  # for a person at a terminal
        return 1
    finally:
        await database.close()
    where = "the first of SECRETS_KEY" if keys.given else f"a new key in {keys.path}"
    print(f"{count} secrets encrypted anew, with {where}.")  # noqa: T201  # as above
    return 0
