"""The buckets behind runs a minute: held against an exact model, with a clock that only moves when told."""

from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.quotas import Quotas, Rate, RateState
from service.errors import QuotaSpent
from service.usecases import rates as module
from service.usecases.rates import FORGET_MIN, Rates

SECOND_NS = 10**9


@dataclass
class Bench:
    """Buckets, with quotas and a clock to play with."""

    quotas: Quotas = field(default_factory=lambda: Quotas(runs_per_minute=60))
    now_ns: int = 17
    rates: Rates = field(init=False)

    def __post_init__(self) -> None:
        self.rates = Rates(lambda _workspace: self.quotas, clock_ns=lambda: self.now_ns)

    def takes(self, workspace: str = "w", own_per_minute: int = 0) -> bool:
        try:
            return self.rates.take(workspace, own_per_minute=own_per_minute)
        except QuotaSpent:
            return False

    def taken(self, workspace: str = "w", own_per_minute: int = 0) -> int:
        """How many it takes to empty it."""
        count = 0
        while self.takes(workspace, own_per_minute):
            count += 1
        return count


class Model:
    """A bucket as one would write it down, in fractions."""

    def __init__(self) -> None:
        self.level: Fraction | None = None
        self.rate = Rate(1, 1)

    def take(self, rate: Rate, passed_ns: int) -> bool:
        if self.level is None:
            self.level = Fraction(rate.burst)
        else:
            self.refill(passed_ns)
            if rate != self.rate:
                self.level = max(Fraction(0), rate.burst - (self.rate.burst - self.level))
        self.rate = rate
        if self.level < 1:
            return False
        self.level -= 1
        return True

    def refill(self, passed_ns: int) -> None:
        assert self.level is not None
        self.level = min(Fraction(self.rate.burst), self.level + Fraction(passed_ns * self.rate.per_minute, 60 * 10**9))

    def state(self) -> RateState:
        assert self.level is not None
        missing = floor(self.level) + 1 - self.level
        reset_s = 0 if self.level == self.rate.burst else ceil(missing * 60 / self.rate.per_minute)
        return RateState(self.rate.per_minute, floor(self.level), reset_s)


QUOTAS = st.builds(Quotas, runs_per_minute=st.integers(1, 5000), runs_burst=st.integers(0, 60))
STEPS = st.lists(
    st.tuples(st.one_of(st.just(0), st.integers(0, 10**6), st.integers(0, 90 * SECOND_NS)), st.none() | QUOTAS),
    max_size=120,
)


@settings(max_examples=150, deadline=None)
@given(QUOTAS, STEPS)
def test_a_bucket_is_exact_whatever_time_does_and_whoever_changes_the_quota(
    quotas: Quotas, steps: list[tuple[int, Quotas | None]]
) -> None:
    bench, model = Bench(quotas), Model()
    for passed_ns, changed in steps:
        bench.quotas = changed or bench.quotas
        bench.now_ns += passed_ns
        rate = bench.quotas.rate()
        assert rate is not None
        assert bench.takes() == model.take(rate, passed_ns)
        assert bench.rates.state("w") == model.state()


@settings(max_examples=100, deadline=None)
@given(QUOTAS, st.lists(st.integers(0, 5 * SECOND_NS), min_size=1, max_size=200))
def test_no_stretch_of_time_has_more_runs_than_its_length_and_the_burst_allow(quotas: Quotas, gaps: list[int]) -> None:
    bench, times = Bench(quotas), []
    for gap in gaps:
        bench.now_ns += gap
        if bench.takes():
            times.append(bench.now_ns)
    rate = quotas.rate()
    assert rate is not None
    for first in range(0, len(times), 7):
        for last in range(first, len(times), 5):
            length_ns = times[last] - times[first]
            assert last - first + 1 <= rate.burst + Fraction(length_ns * rate.per_minute, 60 * 10**9)


def test_what_was_given_back_can_be_taken_again_and_no_more_than_that() -> None:
    bench = Bench()
    assert bench.taken() == 60
    bench.rates.give_back("w")
    assert bench.taken() == 1
    bench.now_ns += 3600 * SECOND_NS
    bench.rates.give_back("w")
    assert bench.taken() == 60
    bench.rates.give_back("nobody")
    assert bench.taken("nobody") == 60


def test_a_refusal_says_when_there_is_one_more_and_then_there_is() -> None:
    bench = Bench(Quotas(runs_per_minute=7))
    assert bench.taken() == 7
    with pytest.raises(QuotaSpent, match="7 runs a minute, is spent; one more in 9 s") as refused:
        bench.rates.take("w")
    bench.now_ns += refused.value.retry_after_s * SECOND_NS
    assert bench.taken() == 1


def test_a_workspace_can_only_narrow_what_it_has() -> None:
    assert Bench().taken(own_per_minute=10) == 10
    assert Bench().taken(own_per_minute=100) == 60
    assert Bench(Quotas()).taken(own_per_minute=10) == 10
    assert Bench(Quotas(runs_per_minute=60, runs_burst=5)).taken(own_per_minute=30) == 5
    assert Bench(Quotas(runs_per_minute=3, runs_burst=5)).taken() == 3


def test_without_a_quota_there_is_no_bucket() -> None:
    bench = Bench(Quotas())
    assert not bench.takes()
    assert (bench.rates.state("w"), bench.rates.buckets) == (None, {})


def test_a_quota_that_is_lifted_takes_its_bucket_with_it() -> None:
    bench = Bench()
    bench.taken()
    bench.quotas = Quotas(runs_per_minute=120)
    bench.rates.changed("w")
    assert bench.rates.state("w", own_per_minute=0) == RateState(120, 60, 1)
    bench.quotas = Quotas()
    bench.rates.changed(None)
    assert bench.rates.state("w") is None


def test_buckets_that_make_no_difference_are_forgotten() -> None:
    bench = Bench(Quotas(runs_per_minute=60, runs_burst=2))
    for number in range(10 * FORGET_MIN):
        bench.takes(f"w{number}")
        bench.now_ns += SECOND_NS // 10
    assert len(bench.rates.buckets) <= 2 * FORGET_MIN


def test_there_are_never_more_buckets_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUCKETS_MAX", 4000)
    bench = Bench()
    for number in range(20_000):
        bench.takes(f"w{number}")
        if number < 100:
            bench.taken("spent")
    assert len(bench.rates.buckets) <= 4000
    assert bench.taken("spent") == 0
