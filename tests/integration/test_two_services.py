"""Two services on one volume and one database: what is done at one holds at the other, and no change is lost."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from service.storage.workspaces import Volume
from tests.integration.volumes import MAX_BYTES
from tests.skep import Client, Skep, client_of

CHANGES = 24
HOLDER = """
import asyncio, sys
from pathlib import Path
from service.storage.workspaces import Volume

async def main():
    volume = Volume(dirpath=Path(sys.argv[1]), document_max_bytes=1000)
    await volume.open()
    async with volume.locked(sys.argv[2]):
        print("held", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


class Clients(NamedTuple):
    """Of each service."""

    one: Client
    other: Client


@pytest.fixture
async def clients(two_skeps: tuple[Skep, Skep]) -> AsyncIterator[Clients]:
    async with client_of(two_skeps[0]) as one, client_of(two_skeps[1]) as other:
        yield Clients(one, other)


async def test_a_deploy_at_one_is_live_at_the_other_at_its_next_run(clients: Clients) -> None:
    for number in range(8):
        deployed, run = clients if number % 2 else clients[::-1]
        answer = await deployed.deploy("agreed", {"f": f"return {number}"})
        assert answer.headers["x-revision"] == str(number + 1)
        assert (await run.run("agreed", "f")).result == number
        assert (await deployed.run("agreed", "f")).result == number
    one, other = clients
    await one.call("POST", "/v2/functions/agreed/revisions/1/activate")
    assert (await other.run("agreed", "f")).result == 0
    listed = await other.call("GET", "/v2/functions/agreed/revisions?limit=500")
    assert [item["number"] for item in listed.body["items"] if item["live"]] == [1]
    await other.call("DELETE", "/v2/functions/agreed")
    assert (await one.run("agreed", "f")).status == 404
    assert (await one.call("GET", "/v2/functions/agreed")).status == 404
    await one.call("POST", "/v2/functions/agreed/revisions/8/activate")
    assert (await other.run("agreed", "f")).result == 7


async def test_aliases_and_disabled_functions_hold_at_both(clients: Clients) -> None:
    one, other = clients
    for number in range(2):
        await one.deploy("decided", {"f": f"return {number}"})
    assert (await other.run("decided", "f")).result == 1
    await one.call("PUT", "/v2/functions/decided/aliases/live", json={"revision": 1})
    assert (await other.run("decided", "f")).result == 0
    await other.call("DELETE", "/v2/functions/decided/aliases/live")
    assert (await one.run("decided", "f")).result == 1
    await other.call("POST", "/v2/functions/decided/functions/f/disable")
    assert (await one.run("decided", "f")).status == 403
    await one.call("POST", "/v2/functions/decided/functions/f/enable")
    assert (await other.run("decided", "f")).status == 200


async def test_no_update_with_if_match_is_lost(clients: Clients) -> None:
    """Each reads, adds one and writes under the condition that nobody has written meanwhile, until that is so."""
    path = "/v2/functions/raced"
    await clients.one.deploy("raced", {"f": "return 1"}, env={"N": "0"})

    async def increment(client: Client) -> int:
        for attempt in range(1, 1000):
            read = await client.call("GET", path)
            document = {**read.body, "env": {"N": str(int(read.body["env"]["N"]) + 1)}}
            answer = await client.call("PUT", path, json=document, headers={"If-Match": read.headers["ETag"]})
            if answer.status == 200:
                return attempt
            assert answer.status == 412, answer.body
        raise AssertionError("never its turn")

    attempts = await asyncio.gather(*(increment(clients[number % 2]) for number in range(CHANGES)))
    assert (await clients.other.call("GET", path)).body["env"] == {"N": str(CHANGES)}
    listed = await clients.one.call("GET", f"{path}/revisions?limit=500")
    assert [item["number"] for item in listed.body["items"]] == list(range(CHANGES + 1, 0, -1))
    assert sum(attempts) > CHANGES, "nobody was in anybody's way"


async def test_changes_without_conditions_are_all_made_and_numbered_once(clients: Clients) -> None:
    answers = await asyncio.gather(
        *(clients[number % 2].deploy("many", {"f": f"return {number}"}) for number in range(8))
    )
    assert sorted(int(answer.headers["x-revision"]) for answer in answers) == list(range(1, 9))
    last = max(answers, key=lambda answer: int(answer.headers["x-revision"]))
    results = {(await client.run("many", "f")).result for client in clients}
    assert results == {answers.index(last)}


@contextmanager
def _holder(folder: Path, workspace: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLDER, str(folder), workspace]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


async def test_a_service_that_is_killed_holds_nobody_up(two_skeps: tuple[Skep, Skep], clients: Clients) -> None:
    folder = two_skeps[0].functions
    with _holder(folder, "held") as holder:
        deploy = asyncio.create_task(clients.one.deploy("held", {"f": "return 1"}))
        assert (await clients.other.deploy("another", {"f": "return 1"})).status == 200
        assert not deploy.done()
        holder.send_signal(signal.SIGKILL)
        assert (await deploy).status == 200
    assert (await clients.other.run("held", "f")).result == 1


async def test_who_waits_for_too_long_is_told_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.storage.workspaces.LOCK_TIMEOUT_S", 0.02)
    volumes = [Volume(dirpath=tmp_path, document_max_bytes=MAX_BYTES) for _ in range(2)]
    for volume in volumes:
        await volume.open()
    try:
        async with volumes[0].locked("w"), volumes[1].locked("v"):
            with pytest.raises(Exception, match="another service has been changing 'w'"):
                async with volumes[1].locked("w"):
                    raise AssertionError("two hold it")
        async with volumes[1].locked("w"):
            pass
    finally:
        for volume in volumes:
            await volume.close()
