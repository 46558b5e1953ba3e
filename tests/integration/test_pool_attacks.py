"""What one tenant tries against the pools, queues and caches of others; each of these has worked once."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from sandbox import protocol
from sandbox.protocol import CacheOp
from service.domain.outcome import Rejected
from service.usecases.deploy import Deploy
from service.workers import cache_ops, inbox
from service.workers.caches import BURST_S, SHARE_OF_TIME, Caches
from service.workers.ends import MALFORMED
from service.workers.flight import Call
from service.workers.outbox import Outbox
from service.workers.places import NoPlace, Places
from service.workers.turns import Turns
from tests.integration.rig import open_rig
from tests.skep import Client, Skep, client_of, running_skep

NATIVE = (sys.executable, "-m", "tests.hostile.native_service", "pool-attacks")
SETTINGS = {"RUNS_MAX": 8, "METRICS_WORKSPACES_MAX": 3, "POOL_SHRINK_AFTER": 500}
SLEEP = "import asyncio\nawait asyncio.sleep(20)"


@pytest.fixture(scope="module")
def skep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Skep]:
    with running_skep(tmp_path_factory.mktemp("attacks"), SETTINGS, command=NATIVE) as skep:
        yield skep


@pytest.fixture
async def client(skep: Skep) -> AsyncIterator[Client]:
    async with client_of(skep) as client:
        yield client


async def _metrics(client: Client) -> dict[str, float]:
    lines = (await client.call("GET", "/metrics")).body.decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[:1] != "#")}


async def _until(client: Client, condition: Callable[[dict[str, float]], Any]) -> None:
    async with asyncio.timeout(5):
        while not condition(await _metrics(client)):
            pass


async def test_who_has_no_queue_is_not_refused_because_a_greedy_one_stands_in_line(client: Client) -> None:
    await client.deploy("greedy", {"f": SLEEP})
    await client.deploy("modest", {"f": "return 1"}, pool={"queue": 0})
    greedy = [asyncio.create_task(client.run("greedy", "f")) for _ in range(20)]
    try:
        await _until(client, lambda metrics: metrics["skep_runs_waiting"] == 15)
        assert (await client.run("modest", "f")).status == 200
    finally:
        for run in greedy:
            run.cancel()
        await asyncio.gather(*greedy, return_exceptions=True)
        await client.call("DELETE", "/v2/functions/greedy")


async def test_runs_that_are_refused_for_a_crash_loop_are_counted(client: Client) -> None:
    await client.deploy("crashes", {"f": "# native\nimport os\nos._exit(3)"})
    before = await _metrics(client)
    statuses = [(await client.run("crashes", "f")).status for _ in range(8)]
    after = await _metrics(client)
    assert statuses == [502] * 5 + [503] * 3
    for outcome, count in (("worker_lost", 5), ("unavailable", 3)):
        name = f'skep_runs_total{{outcome="{outcome}"}}'
        assert after[name] - before[name] == count


async def test_no_worker_is_left_of_a_workspace_that_is_deleted_while_one_starts(client: Client) -> None:
    def workers(metrics: dict[str, float]) -> float:
        return sum(value for name, value in metrics.items() if name.startswith("skep_workers{"))

    before = workers(await _metrics(client))
    for number in range(8):
        assert (await client.deploy(f"short{number}", {"f": "return 1"}, pool={"floor": 3})).status == 200
        assert (await client.call("DELETE", f"/v2/functions/short{number}")).status == 204
    await _until(client, lambda metrics: workers(metrics) <= before)


async def test_who_only_tried_keeps_no_room_in_the_metrics(client: Client) -> None:
    for name in ("modest", "crashes"):
        await client.call("DELETE", f"/v2/functions/{name}")
    for number in range(3):
        assert (await client.deploy(f"ghost{number}", {"f": "no code ("})).status == 400
    for number in range(2):
        await client.deploy(f"real{number}", {"f": "return 1"})

    async with asyncio.timeout(5):
        while True:
            for number in range(2):
                await client.run(f"real{number}", "f")
            if {f'skep_workspace_workers{{workspace="real{n}"}}' for n in range(2)} <= (await _metrics(client)).keys():
                break


async def test_a_shared_cache_goes_with_a_workspace_that_is_deleted_on_the_volume(skep: Skep, client: Client) -> None:
    functions = {"put": "cache['a'] = 1", "look": "return cache.get('a')"}
    await client.deploy("kept", functions, pool={"ceil": 2})
    await client.run("kept", "put")
    file = skep.functions / "kept" / "workspace.yaml"
    file.write_text(file.read_text().replace("ceil: 2", "ceil: 1"))
    assert (await client.run("kept", "look")).result is None
    await client.deploy("kept", functions, pool={"ceil": 2})
    assert (await client.run("kept", "look")).result is None
    await client.run("kept", "put")
    file.unlink()
    assert (await client.run("kept", "look")).status == 404
    await client.deploy("kept", functions, pool={"ceil": 2})
    assert (await client.run("kept", "look")).result is None


async def test_operations_on_a_cache_do_not_put_off_the_end_of_a_worker_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inbox, "REST_EXCUSE_S", 0.3)
    cache = Caches(cache_max_bytes=10_000, caches_max_bytes=100_000).hold("w")
    loop = asyncio.get_running_loop()
    async with open_rig(cache=cache) as rig:
        running = asyncio.create_task(rig.outcome(Call("id", b"{}", 20, "f")))
        await loop.sock_recv(rig.theirs, 65536)
        number = 0
        async with asyncio.timeout(5):
            while not rig.worker.is_ending:
                number += 1
                cache.charge(BURST_S, loop.time())
                with contextlib.suppress(OSError):  # it is gone
                    rig.theirs.send(protocol.encode_frame(CacheOp(number, "len")))
                    await loop.sock_recv(rig.theirs, 65536)
        await running
        assert rig.worker.end is not None
        assert rig.worker.end != MALFORMED


async def test_workspaces_share_the_time_for_operations() -> None:
    caches = Caches(cache_max_bytes=10_000, caches_max_bytes=100_000)
    one, other = caches.hold("one"), caches.hold("other")
    assert one.charge(BURST_S + 0.1, 100.0) == pytest.approx(0.1 / SHARE_OF_TIME)
    assert other.charge(BURST_S + 0.1, 100.0) == pytest.approx(0.2 / SHARE_OF_TIME)
    assert other.charge(0.0, 200.0) < 0


async def test_who_waited_for_a_place_in_vain_leaves_nothing_behind() -> None:
    places = Places(1, make_room=lambda: None)
    assert places.try_take()
    for _ in range(100):
        with pytest.raises(NoPlace):
            await places.take(until=0.0)
    assert len(places._waiting) == 0
    places.give_back()
    assert places.try_take()


async def test_a_change_whose_caller_has_left_before_its_turn_is_not_made() -> None:
    nothing: Any = None
    deploy = Deploy(*[nothing] * 7)
    turn, made = asyncio.Event(), []

    async def change(name: str) -> None:
        await turn.wait()
        made.append(name)

    first = asyncio.create_task(deploy._in_turn("w", lambda: change("a"), is_exclusive=False))
    second = asyncio.create_task(deploy._in_turn("w", lambda: change("b"), is_exclusive=False))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for task in (first, second):
        task.cancel()
    turn.set()
    await asyncio.gather(first, second, return_exceptions=True)
    await deploy._in_turn("w", lambda: change("c"), is_exclusive=False)
    assert made == ["a", "c"]


async def test_what_is_said_to_a_worker_that_has_just_gone_is_no_error() -> None:
    class Closed(asyncio.Transport):
        def is_closing(self) -> bool:
            return True

        def write(self, data: object) -> None:
            raise RuntimeError("the handler is closed")  # as uvloop does

    outbox = Outbox()
    outbox.open(Closed())
    for number in range(9):
        outbox.put(protocol.Cancel(number))
    outbox.flush()


async def test_a_worker_that_does_not_read_gets_no_more_runs() -> None:
    loop = asyncio.get_running_loop()
    async with open_rig() as rig:
        while rig.worker.has_room and rig.worker.runs < 10:
            rig.worker.launch(Call("id", b'{"a":"%b"}' % (b"x" * 2**20), 5000, "f"), loop.create_future())
            await asyncio.sleep(0)
        assert 4 <= rig.worker.runs <= 6
        async with asyncio.timeout(5):
            while not rig.worker.has_room:
                await loop.sock_recv(rig.theirs, 2**20)


async def test_an_answer_that_is_not_read_ends_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_ops, "UNREAD_TIMEOUT_S", 0.05)
    cache = Caches(cache_max_bytes=4_000_000, caches_max_bytes=100_000_000).hold("w")
    cache.apply(CacheOp(1, "set", b"k", b"", b'"%b"' % (b"x" * 3_000_000)))
    async with open_rig(cache=cache) as rig:
        rig.send(protocol.encode_frame(CacheOp(1, "get", b"k")))
        await asyncio.wait_for(rig.worker.gone.wait(), 5)
        assert rig.worker.end == MALFORMED


async def test_many_answers_at_once_leave_turns_to_others() -> None:
    loop = asyncio.get_running_loop()
    turns, waiters = Turns(), [loop.create_future() for _ in range(100)]
    waiters[99].cancel()
    for waiter in waiters:
        turns.give(waiter, Rejected("queue full", 1))
    counts = []
    while not all(waiter.done() for waiter in waiters):
        counts.append(sum(waiter.done() for waiter in waiters))
        await asyncio.sleep(0)
    assert counts[:3] == [26, 51, 76]
