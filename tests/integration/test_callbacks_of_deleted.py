"""What a workspace may not reach its callbacks do not reach either, also when it is no longer there."""

import asyncio
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.skep import Client, client_of, skep_aside


async def test_a_callback_keeps_to_the_network_of_a_workspace_that_was_deleted(tmp_path: Path) -> None:
    told: list[str] = []

    async def hook(request: web.Request) -> web.Response:
        told.append(request.path)
        return web.Response()

    receiver = web.Application()
    receiver.router.add_post("/{name}", hook)
    async with TestServer(receiver) as server, asyncio.timeout(30):
        settings = {"EGRESS_ALLOW": f"127.0.0.1:{server.port}"}
        async with skep_aside(tmp_path, settings) as skep, client_of(skep) as client:
            await client.deploy("closed", {"f": "return 1"}, network={"allow": []})
            await client.deploy("open", {"f": "return 1"})
            run = await _accept(client, "closed", f"{server.make_url('/closed')}")
            await _attempts(client, run, 1)
            await client.call("DELETE", "/v2/functions/closed")
            await _attempts(client, run, 2)
            await _attempts(client, await _accept(client, "open", f"{server.make_url('/open')}"), 1)
    assert told == ["/open"]


async def _accept(client: Client, workspace: str, callback: str) -> str:
    body = {"callback": callback}
    path = f"/v2/functions/{workspace}/run/f"
    answer = await client.call("POST", path, json=body, headers={"Prefer": "respond-async"})
    assert answer.status == 202, answer.body
    return answer.headers["Location"]


async def _attempts(client: Client, run: str, number: int) -> None:
    while (await client.call("GET", run)).body.get("callback", {"attempts": 0})["attempts"] < number:  # noqa: ASYNC110  # it is the service that is waited for
        await asyncio.sleep(0.05)
