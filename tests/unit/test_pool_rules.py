"""What a workspace says of its pool, and what the operator lets it say."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.fairness import fair_share
from service.domain.pool import PoolBounds, PoolRules

BOUNDS = PoolBounds()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, PoolRules()),
        ({}, PoolRules(floor=0, ceil=1, cruise=1, concurrency=64, queue=256, timeout_ms=10_000)),
        ({"floor": 2}, PoolRules(floor=2, ceil=2, cruise=2)),
        ({"cruise": 3}, PoolRules(ceil=3, cruise=3)),
        ({"ceil": 4}, PoolRules(ceil=4)),
        ({"cruise": 0}, PoolRules(cruise=0)),
        ({"concurrency": 1, "queue": 0, "timeout": 5}, PoolRules(concurrency=1, queue=0, timeout_ms=5)),
        ({"ceil": 100, "floor": 50}, PoolRules(floor=8, ceil=8, cruise=8)),
        ({"concurrency": 10**9, "queue": 10**9}, PoolRules(concurrency=1000, queue=10_000)),
        ({"timeout": 10**9}, PoolRules(timeout_ms=60_000)),
    ],
)
def test_what_is_not_said_gives_way_to_what_is(given: dict[str, int] | None, expected: PoolRules) -> None:
    assert BOUNDS.rules(given) == expected


COUNTS = st.integers(0, 20)


@given(
    st.fixed_dictionaries({}, optional={"floor": COUNTS, "cruise": COUNTS, "ceil": st.integers(1, 20)}),
    st.tuples(COUNTS, COUNTS, COUNTS).map(sorted),
    st.integers(1, 20),
)
def test_floor_cruise_and_ceil_are_always_in_order_and_within_bounds(
    given: dict[str, Any], usual: list[int], ceil_max: int
) -> None:
    floor, cruise, ceil = usual
    bounds = PoolBounds(usual=PoolRules(floor=floor, cruise=cruise, ceil=max(ceil, 1)), ceil_max=ceil_max)
    rules = bounds.rules(given)
    assert 0 <= rules.floor <= rules.cruise <= rules.ceil <= ceil_max
    assert rules.ceil >= 1


def test_every_wish_beyond_the_bounds_is_told_at_once() -> None:
    wishes = {"floor": 9, "ceil": 9, "cruise": 9, "concurrency": 1001, "queue": 10_001, "timeout": 60_001}
    assert [problem.path for problem in BOUNDS.problems(wishes)] == [f"pool.{name}" for name in wishes]
    assert BOUNDS.problems({"floor": 8, "ceil": 8, "timeout": 60_000}) == []
    assert BOUNDS.problems(None) == []


@pytest.mark.parametrize("greedy", [1, 2, 10, 50])
def test_greedy_ones_share_alike_and_leave_room_for_the_next(greedy: int) -> None:
    """Each takes what it gets, and gives it back bit by bit, the one who has most first."""
    total, own = 2048, [0] * greedy
    for _ in range(4 * total):
        for index in range(greedy):
            while fair_share(own[index], total - sum(own)):
                own[index] += 1
        own[own.index(max(own))] -= 1
    fair = total / (greedy + 1)
    assert all(fair - 3 <= count <= fair + 3 for count in own)
    assert fair_share(0, total - sum(own))


@pytest.mark.parametrize("total", [1, 2, 3, 10])
def test_one_alone_has_half_and_of_little_never_nothing(total: int) -> None:
    own = 0
    while fair_share(own, total - own):
        own += 1
    assert own == total // 2 + 1
    assert not fair_share(0, 0)
