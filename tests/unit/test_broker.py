"""The parts of the broker that keep something: names, timers, what connections are left behind."""

import asyncio
import ipaddress
from collections.abc import Callable

import pytest

from service.broker.kept import KEPT_BY_ALL_MAX, KEPT_MAX, Kept
from service.broker.resolver import LOOKUPS_AT_ONCE, Names, system_resolve
from service.broker.timeouts import Timeouts
from service.domain.addresses import Address
from service.domain.fetching import Allowance, Budget

SOMEWHERE = (ipaddress.ip_address("192.0.2.1"),)


async def test_who_is_in_time_hears_nothing_of_the_timer() -> None:
    timeouts = Timeouts()
    async with timeouts.within(10):
        await asyncio.sleep(0)
    timeouts.close()


async def test_each_block_ends_at_its_own_time_whatever_their_order() -> None:
    timeouts = Timeouts()
    ended: list[float] = []

    async def wait(delay_s: float) -> None:
        with pytest.raises(TimeoutError):
            async with timeouts.within(delay_s):
                await asyncio.Event().wait()
        ended.append(delay_s)

    await asyncio.gather(*[wait(delay_s) for delay_s in (0.06, 0.02, 0.04, 0.0)])
    assert ended == [0.0, 0.02, 0.04, 0.06]


async def test_a_cancellation_from_elsewhere_stays_one() -> None:
    timeouts = Timeouts()
    begun = asyncio.Event()

    async def wait() -> None:
        async with timeouts.within(0.001):
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_of_the_block_passes_through() -> None:
    with pytest.raises(ZeroDivisionError):
        async with Timeouts().within(1):
            raise ZeroDivisionError


def _resolver(asked: list[str], gate: asyncio.Event | None = None) -> Callable[[str], object]:
    async def resolve(host: str) -> tuple[Address, ...]:
        asked.append(host)
        if gate is not None:
            await gate.wait()
        return SOMEWHERE

    return resolve


async def test_a_name_is_asked_for_once_by_many_and_kept_for_a_moment() -> None:
    asked: list[str] = []
    names = Names(_resolver(asked))  # type: ignore[arg-type]  # it is one
    assert await asyncio.gather(*[names.addresses("a", workspace="w") for _ in range(5)]) == [SOMEWHERE] * 5
    await names.addresses("a", workspace="other")
    assert asked == ["a"]
    await names.close()


async def test_the_slow_names_of_one_workspace_make_no_other_wait() -> None:
    asked: list[str] = []
    gate = asyncio.Event()
    names = Names(_resolver(asked, gate))  # type: ignore[arg-type]  # it is one
    slow = [asyncio.create_task(names.addresses(f"slow{i}", workspace="w")) for i in range(2 * LOOKUPS_AT_ONCE)]
    other = asyncio.create_task(names.addresses("quick", workspace="other"))
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(asked) == LOOKUPS_AT_ONCE + 1
    assert "quick" in asked
    gate.set()
    assert await other == SOMEWHERE
    await asyncio.gather(*slow)
    await names.close()


async def test_a_lookup_that_one_has_left_goes_on_for_the_other() -> None:
    gate = asyncio.Event()
    names = Names(_resolver([], gate))  # type: ignore[arg-type]  # it is one
    left, stays = (asyncio.create_task(names.addresses("a", workspace="w")) for _ in range(2))
    await asyncio.sleep(0)
    left.cancel()
    gate.set()
    assert await stays == SOMEWHERE
    await names.close()


async def test_the_system_knows_itself_and_not_what_does_not_exist() -> None:
    assert all(address.is_loopback for address in await system_resolve("localhost"))
    with pytest.raises(OSError, match=r".+"):
        await system_resolve("a" * 300)


def test_a_workspace_keeps_so_many_connections_and_no_more() -> None:
    kept = Kept(idle_s=60)
    one, other = ("w", "h", "192.0.2.1", 80), ("w", "other", "192.0.2.1", 80)
    assert [kept.begin(one) for _ in range(KEPT_MAX + 1)] == [True] * KEPT_MAX + [False]
    for _ in range(KEPT_MAX):
        kept.end(one)
    assert kept.begin(one)  # takes one that waits
    assert not kept.begin(other)
    assert kept.begin(("another", "h", "192.0.2.1", 80))


def test_all_workspaces_together_keep_so_many_connections_and_no_more() -> None:
    kept = Kept(idle_s=60)
    asked = [kept.begin((f"w{number}", "h", "192.0.2.1", 80)) for number in range(KEPT_BY_ALL_MAX + 1)]
    assert asked == [True] * KEPT_BY_ALL_MAX + [False]


def test_connections_that_waited_too_long_make_room() -> None:
    kept = Kept(idle_s=-1)
    for number in range(KEPT_MAX + 1):
        place = ("w", f"h{number}", "192.0.2.1", 80)
        assert kept.begin(place)
        kept.end(place)


def test_a_budget_is_given_back_once() -> None:
    budget = Budget(10)
    one, two = Allowance(budget), Allowance(budget)
    assert one.take(6)
    assert not two.take(6)
    assert two.take(4)
    one.give_back()
    one.give_back()
    assert budget.left_bytes == 6
