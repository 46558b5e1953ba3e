"""What one workspace can hold of the broker has bounds, and what servers and URLs say stays out of the log."""

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from service.broker.egress import Egress, open_egress
from service.broker.resolver import LOOKUPS_AT_ONCE, LOOKUPS_MAX, QUEUED_MAX, Names, Resolve, system_resolve
from service.broker.shares import UNDER_WAY_MAX, Shares
from service.domain.addresses import Address
from service.domain.egress import Policy, parse_rules
from service.domain.fetching import Allowance, Budget, Failure, FetchRequest, Response

SOMEWHERE = (ipaddress.ip_address("127.0.0.1"),)
MEGABYTE = 2**20


class Slow:
    """A resolver that answers nobody until the test says so."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.gate = asyncio.Event()

    async def __call__(self, host: str) -> tuple[Address, ...]:
        self.asked.append(host)
        await self.gate.wait()
        return SOMEWHERE


async def _settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def _end(tasks: list[asyncio.Task[tuple[Address, ...]]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _ask(names: Names, count: int, *, workspace: str = "w") -> list[asyncio.Task[tuple[Address, ...]]]:
    return [asyncio.create_task(names.addresses(f"{workspace}{i}", workspace=workspace)) for i in range(count)]


async def test_a_lookup_that_has_not_begun_ends_with_the_last_who_waits_for_it() -> None:
    slow = Slow()
    names = Names(slow)
    for _ in range(3):
        left = _ask(names, QUEUED_MAX)
        await _settle()
        await _end(left)
    waiting = [*_ask(names, 100), *_ask(names, 100)]
    await _settle()
    await _end(waiting[:100])
    slow.gate.set()
    assert await asyncio.gather(*waiting[100:]) == [SOMEWHERE] * 100
    assert len(slow.asked) == len(set(slow.asked)) == 100
    await names.close()


async def test_lookups_nobody_waits_for_are_never_begun() -> None:
    slow = Slow()
    names = Names(slow)
    asked = _ask(names, QUEUED_MAX)
    await _settle()
    await _end(asked)
    slow.gate.set()
    await names.addresses("last", workspace="w")
    assert len(slow.asked) == LOOKUPS_AT_ONCE + 1
    await names.close()


async def test_a_workspace_with_too_many_names_in_the_queue_is_told_so() -> None:
    slow = Slow()
    names = Names(slow)
    asked = _ask(names, LOOKUPS_AT_ONCE + QUEUED_MAX)
    await _settle()
    with pytest.raises(OSError, match="fetch from fewer at once"):
        await asyncio.wait_for(names.addresses("one-more", workspace="w"), 1)
    other = _ask(names, 1, workspace="other")
    slow.gate.set()
    assert await asyncio.gather(*asked, *other) == [SOMEWHERE] * (LOOKUPS_AT_ONCE + QUEUED_MAX + 1)
    await names.close()


async def test_slow_names_of_many_workspaces_leave_a_place_for_the_next() -> None:
    slow = Slow()
    names = Names(slow)
    tasks = [task for number in range(12) for task in _ask(names, 2 * LOOKUPS_AT_ONCE, workspace=f"slow{number}-")]
    await _settle()
    tasks += _ask(names, 1, workspace="next")
    await _settle()
    assert "next0" in slow.asked
    assert len(slow.asked) <= LOOKUPS_MAX
    slow.gate.set()
    assert await asyncio.gather(*tasks) == [SOMEWHERE] * len(tasks)
    await names.close()


def test_a_share_is_a_fraction_of_what_is_left_for_the_others() -> None:
    shares = Shares(90)
    assert [shares.take("a") for _ in range(11)] == [True] * 10 + [False]
    assert [shares.take("b") for _ in range(10)] == [True] * 9 + [False]
    assert shares.take("c")
    shares.give_back("a")
    assert not shares.take("a")
    for _ in range(9):
        shares.give_back("a")
    assert shares.take("a")


@asynccontextmanager
async def _egress(resolve: Resolve = system_resolve) -> AsyncIterator[Egress]:
    policy = Policy(allow=parse_rules(["127.0.0.1:*", "*:*"]))
    async with open_egress(policy, resolve=resolve, response_max_bytes=MEGABYTE, redirects_max=3) as egress:
        yield egress


def _fetch(egress: Egress, url: str, *, workspace: str = "w") -> Awaitable[Response | Failure]:
    request = FetchRequest(workspace, None, "run", "GET", url, [], b"", 5.0)
    return egress.fetch(request, Allowance(Budget(MEGABYTE)))


@asynccontextmanager
async def _server(answer: Callable[[], bytes]) -> AsyncIterator[str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def test_fetches_that_hang_in_many_workspaces_leave_room_for_another_one() -> None:
    """They hang in the resolver here, which takes no descriptors of the test's."""
    async with _egress(Slow()) as egress, _server(lambda: b"HTTP/1.1 204 None\r\n\r\n") as url:
        hanging = [
            asyncio.ensure_future(_fetch(egress, "http://slow.example/", workspace=f"w{number % 20}"))
            for number in range(UNDER_WAY_MAX + 560)
        ]
        await _settle()
        told = [task.result() for task in hanging if task.done()]
        assert told
        assert all(isinstance(answer, Failure) and "too busy" in answer.message for answer in told)
        assert isinstance(await _fetch(egress, url, workspace="victim"), Response)
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)
        assert isinstance(await _fetch(egress, url, workspace="w0"), Response)


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 200 OK\r\nX-hunter2\r\n\r\n",
        b"hunter2\r\n\r\n",
        b"HTTP/1.1 999999 hunter2\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://user:hunter2/x@h/\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://h:hunter2/\r\n\r\n",
    ],
)
async def test_nothing_that_a_server_sent_is_in_the_log(sent: bytes) -> None:
    with capture_logs() as lines:
        async with _egress() as egress, _server(lambda: sent) as url:
            answer = await _fetch(egress, url)
    assert isinstance(answer, Failure)
    (line,) = [line for line in lines if line["event"] == "fetch"]
    assert line["failure"] == answer.kind
    assert line["reason"]
    assert "hunter2" not in str(line)


async def test_what_stands_for_a_password_in_a_url_is_not_in_the_log() -> None:
    with capture_logs() as lines:
        async with _egress() as egress:
            answer = await _fetch(egress, "http://user:hunter2/x@h/")
    assert isinstance(answer, Failure)
    assert [line["reason"] for line in lines if line["event"] == "fetch"] == ["the URL cannot be read"]
