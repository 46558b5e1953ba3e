"""More workspaces than places, callers that leave, a zygote that hangs: everybody is answered, nothing is lost."""

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import aiohttp
import pytest
from pytest_aiohttp import AiohttpClient

from service.app import create_app
from service.http.skep import SKEP
from service.settings import Settings
from service.workers import fork_server
from tests.skep import Client, Skep, client_of, running_skep, state


async def _rounds(client: Client, names: list[str], rounds: int) -> None:
    for number in range(rounds):
        answers = await asyncio.gather(*(client.inline(name, f"return {number}") for name in names))
        assert [answer.body.get("result") for answer in answers] == [number] * len(names)


async def test_more_workspaces_than_places_all_get_their_turn(two_places: Skep) -> None:
    async with client_of(two_places) as client:
        await _rounds(client, [f"w{number}" for number in range(8)], rounds=3)


async def test_one_place_is_enough_for_deploys_and_runs_of_many(one_place: Skep) -> None:
    async with client_of(one_place) as client:
        names = [f"w{number}" for number in range(4)]
        deployed = await asyncio.gather(*(client.deploy(name, {"me": f"return '{name}'"}) for name in names))
        assert {answer.status for answer in deployed} == {200}
        for _ in range(3):
            answers = await asyncio.gather(*(client.run(name, "me") for name in names))
            assert [answer.result for answer in answers] == names


async def _leave_early(skep: Skep, number: int) -> None:
    """Ask for a cold run and close the connection while its worker is being started."""
    async with aiohttp.ClientSession(skep.url) as session:
        with contextlib.suppress(TimeoutError, aiohttp.ClientError):
            async with asyncio.timeout(0.001 * (number % 6)):
                await session.post(f"/v2/functions/left-{number}/run", json={"code": "return 1"})


async def test_callers_that_leave_take_no_place_with_them(tmp_path: Path) -> None:
    with running_skep(tmp_path, {"FUNCTIONS_WORKERS_MAX_LRU": 3}) as skep:
        for start in range(0, 120, 6):
            await asyncio.gather(*(_leave_early(skep, number) for number in range(start, start + 6)))
        async with client_of(skep) as client:
            await _rounds(client, ["a", "b", "c", "d"], rounds=2)
            assert (await client.deploy("w", {"one": "return 1"})).status == 200
        skep.process.terminate()
        assert skep.process.wait(timeout=10) == 0


async def test_a_zygote_that_hangs_is_replaced(
    monkeypatch: pytest.MonkeyPatch, aiohttp_client: AiohttpClient, tmp_path: Path
) -> None:
    """In this process, where it need not be waited for so long."""
    monkeypatch.setattr(fork_server, "FORK_TIMEOUT_S", 0.5)
    settings = Settings(functions_dirpath=tmp_path / "functions", database_path=tmp_path / "skep.db")
    app = create_app(settings)
    client = await aiohttp_client(app)
    zygote = app[SKEP].zygote
    hung = zygote.pid
    assert hung is not None
    os.kill(hung, signal.SIGSTOP)
    answer = await client.post("/v2/functions/w/run", json={"code": "return 1"})
    assert (await answer.json())["result"] == 1
    assert zygote.pid not in {hung, None}
    assert state(hung) in {"Z", None}


async def test_an_upload_that_never_ends_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with running_skep(tmp_path, {"SHUTDOWN_GRACE_PERIOD": 60_000}) as skep:
        host, port = skep.url.removeprefix("http://").split(":")
        _reader, writer = await asyncio.open_connection(host, int(port))
        head = "POST /v2/functions/w/run HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: 100\r\n\r\n{{".encode())
        await writer.drain()
        async with client_of(skep) as client:
            assert (await client.inline("w", "return 1")).result == 1
        skep.process.terminate()
        assert await asyncio.to_thread(skep.process.wait, 15) == 0
        writer.close()


async def test_what_waits_for_a_place_when_the_grace_is_over_does_not_begin(tmp_path: Path) -> None:
    with running_skep(tmp_path, {"FUNCTIONS_WORKERS_MAX_LRU": 1, "SHUTDOWN_GRACE_PERIOD": 300}) as skep:
        async with client_of(skep) as client:
            hold = "import asyncio\nawait asyncio.sleep(15)"
            holding = asyncio.create_task(client.inline("a", hold))
            async with asyncio.timeout(5):
                while not skep.worker_pids():
                    await client.call("GET", "/sys/healthcheck")
            waiting = asyncio.create_task(client.inline("b", "return 'begun'"))
            await client.call("GET", "/sys/healthcheck")
            skep.process.terminate()
            assert (await holding).status == 502
            assert (await waiting).status == 503
        assert await asyncio.to_thread(skep.process.wait, 10) == 0
