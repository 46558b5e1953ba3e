"""Calls that tests of secrets have in common."""

import itertools

from tests.skep import Answer, Client

SECRET = 'hunter2-Tr0ub4dor&3 "quoted" ünd/so'
_names = (f"secretive-{number}" for number in itertools.count())


async def set_secret(client: Client, workspace: str, name: str, value: object) -> Answer:
    return await client.call("PUT", f"/v2/functions/{workspace}/secrets/{name}", json={"value": value})


def next_name() -> str:
    """A workspace that no other test has."""
    return next(_names)


async def deployed(client: Client, code: str = "return dict(secrets)", **secrets: str) -> str:
    """A workspace with a function f, and these secrets."""
    workspace = next_name()
    assert (await client.deploy(workspace, {"f": code})).status == 200
    for name, value in secrets.items():
        assert (await set_secret(client, workspace, name, value)).status == 204
    return workspace
