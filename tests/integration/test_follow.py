"""Logs of runs, as they are and as they come."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import pytest

from tests.origin import Origin
from tests.skep import Client, Skep, client_of

ASYNC = {"Prefer": "respond-async"}
SAYING = {
    "code": "print('one'); print('two')\nawait fetch(url + '?' + context.run_id)\nprint('three'); return 3",
    "parameters": {"url": {"type": "string", "required": True}},
}
Event = tuple[str | None, str, Any]


@pytest.fixture
async def client(jobs_skep: Skep) -> AsyncIterator[Client]:
    async with client_of(jobs_skep) as client:
        yield client


class Reader:
    """One stream of events."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def next(self) -> Event:
        """The next one: its id, its name, its data."""
        fields: dict[str, str] = {}
        while line := (await self._response.content.readline()).decode():
            if line == "\n":
                if fields:
                    return fields.get("id"), fields["event"], json.loads(fields["data"])
            elif not line.startswith(":"):
                name, _, value = line.rstrip("\n").partition(": ")
                fields[name] = value
        raise EOFError

    async def messages(self, count: int) -> list[str]:
        events = [await self.next() for _ in range(count)]
        assert {name for _, name, _ in events} == {"log"}
        return [data["message"] for _, _, data in events]


@asynccontextmanager
async def following(client: Client, workspace: str, run_id: str, **headers: str) -> AsyncIterator[Reader]:
    path = f"/v2/functions/{workspace}/runs/{run_id}/logs?follow=1"
    async with client.session.get(path, headers=headers) as response:
        assert response.status == 200, await response.text()
        assert response.content_type == "text/event-stream"
        assert response.headers["x-correlation-id"]
        yield Reader(response)


async def accept(client: Client, workspace: str, **parameters: Any) -> str:
    path = f"/v2/functions/{workspace}/run/say"
    answer = await client.call("POST", path, json={"parameters": parameters}, headers=ASYNC)
    assert answer.status == 202
    run_id: str = answer.body["id"]
    return run_id


async def status_of(client: Client, path: str) -> int:
    async with client.session.get(path) as response:
        return response.status


async def logs_of(client: Client, workspace: str, run_id: str) -> list[str]:
    answer = await client.call("GET", f"/v2/functions/{workspace}/runs/{run_id}/logs")
    assert answer.status == 200
    return [entry["message"] for entry in answer.body]


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_run_is_followed_from_its_first_entry_to_its_end(
    client: Client, workspace: str, origin: Origin, *, is_async: bool
) -> None:
    await client.deploy(workspace, {"say": SAYING})
    url = f"{origin.url}/together"
    caller = asyncio.create_task(
        accept(client, workspace, url=url) if is_async else client.run(workspace, "say", url=url)
    )
    await origin.hanging.acquire()
    run_id = origin.requests[-1].partition("?")[2]
    assert await logs_of(client, workspace, run_id) == ["one", "two"]
    async with following(client, workspace, run_id) as reader:
        assert await reader.next() == ("1", "log", {"time": ANY, "level": "info", "message": "one"})
        assert await reader.messages(1) == ["two"]
        origin.release.set()
        assert await reader.messages(1) == ["three"]
        assert await reader.next() == (None, "end", {"status": "succeeded"})
        with pytest.raises(EOFError):
            await reader.next()
    await caller
    async with following(client, workspace, run_id, **{"Last-Event-ID": "2"}) as reader:
        assert await reader.next() == ("3", "log", {"time": ANY, "level": "info", "message": "three"})
        assert await reader.next() == (None, "end", {"status": "succeeded"})
    assert await logs_of(client, workspace, run_id) == ["one", "two", "three"]


async def test_who_follows_a_run_that_waits_hears_it_when_it_begins(
    client: Client, workspace: str, origin: Origin
) -> None:
    await client.deploy(workspace, {"say": SAYING})
    first, _ = [await accept(client, workspace, url=f"{origin.url}/together") for _ in range(2)]
    for _ in range(2):
        await origin.hanging.acquire()
    second = await accept(client, workspace, url=f"{origin.url}/echo")
    assert await logs_of(client, workspace, second) == []
    async with following(client, workspace, second) as reader:
        origin.release.set()
        assert await reader.messages(3) == ["one", "two", "three"]
        assert await reader.next() == (None, "end", {"status": "succeeded"})
    async with following(client, workspace, first) as reader:
        assert await reader.messages(3) == ["one", "two", "three"]


async def test_who_follows_a_run_hears_that_it_was_cancelled(client: Client, workspace: str, origin: Origin) -> None:
    await client.deploy(workspace, {"say": SAYING})
    run_id = await accept(client, workspace, url=f"{origin.url}/hang")
    await origin.hanging.acquire()
    async with following(client, workspace, run_id) as reader:
        assert await reader.messages(2) == ["one", "two"]
        await client.call("DELETE", f"/v2/functions/{workspace}/runs/{run_id}")
        assert await reader.next() == (None, "end", {"status": "cancelled"})


async def test_there_are_so_many_readers_and_one_that_leaves_makes_room(
    client: Client, workspace: str, origin: Origin
) -> None:
    await client.deploy(workspace, {"say": SAYING})
    run_id = await accept(client, workspace, url=f"{origin.url}/together")
    await origin.hanging.acquire()
    path = f"/v2/functions/{workspace}/runs/{run_id}/logs?follow=1"
    async with AsyncExitStack() as stack:
        readers = [await stack.enter_async_context(following(client, workspace, run_id)) for _ in range(4)]
        for reader in readers:
            assert await reader.messages(2) == ["one", "two"]
        refused = await client.call("GET", path)
        assert (refused.status, refused.body["error"]) == (429, "TooManyRequests")
        # Others have room.
        other = f"{workspace[:60]}-2"
        await client.deploy(other, {"say": SAYING})
        ran = (await client.run(other, "say", url=f"{origin.url}/echo")).headers["x-run-id"]
        assert await status_of(client, f"/v2/functions/{other}/runs/{ran}/logs?follow=1") == 200
    async with asyncio.timeout(10):
        while await status_of(client, path) != 200:  # noqa: ASYNC110  # the service has no event for it
            await asyncio.sleep(0.01)
    origin.release.set()


@pytest.mark.parametrize(
    ("query", "headers"), [("?follow=2", {}), ("?tail=1", {}), ("?follow=1", {"Last-Event-ID": "no"})]
)
async def test_what_cannot_be_asked_for(client: Client, workspace: str, query: str, headers: dict[str, str]) -> None:
    answer = await client.call("GET", f"/v2/functions/{workspace}/runs/{'0' * 32}/logs{query}", headers=headers)
    assert answer.status == 400


async def test_a_run_that_never_was_is_not_followed(client: Client, workspace: str) -> None:
    for query in ("", "?follow=1"):
        answer = await client.call("GET", f"/v2/functions/{workspace}/runs/{'0' * 32}/logs{query}")
        assert (answer.status, answer.body["error"]) == (404, "ObjectNotFoundError")


class _Any:
    def __eq__(self, _other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]  # it equals everything


ANY = _Any()
