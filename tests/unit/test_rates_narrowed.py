"""Who limits itself, and then no more, has not gained a run by it."""

import pytest

from service.domain.quotas import Quotas
from service.errors import QuotaSpent
from service.usecases.rates import Rates

S = 10**9


class Clock:
    """Time as a test has it."""

    def __init__(self) -> None:
        self.ns = 5 * S

    def __call__(self) -> int:
        return self.ns


def began(rates: Rates, own_per_minute: int = 0) -> int:
    """How many runs begin until no more may."""
    count = 0
    try:
        while True:
            rates.take("a", own_per_minute=own_per_minute)
            count += 1
    except QuotaSpent:
        return count


@pytest.mark.parametrize("own_per_minute", [1, 3, 9])
def test_a_limit_of_its_own_that_comes_and_goes_gives_nothing_back(own_per_minute: int) -> None:
    clock, quotas = Clock(), Quotas(runs_per_minute=10)
    rates = Rates(lambda _workspace: quotas, clock_ns=clock)
    assert began(rates) == 10
    for _ in range(5):
        assert began(rates, own_per_minute) == 0
        state = rates.state("a", own_per_minute=own_per_minute)
        assert state is not None
        assert state.remaining == 0
        assert began(rates) == 0
    clock.ns += 12 * S
    assert began(rates) == 2


def test_what_was_spent_under_a_limit_of_its_own_is_spent_of_the_quota() -> None:
    clock, quotas = Clock(), Quotas(runs_per_minute=10)
    rates = Rates(lambda _workspace: quotas, clock_ns=clock)
    assert began(rates, 4) == 4
    assert began(rates) == 6
    assert began(rates, 4) == 0


def test_a_run_that_did_not_begin_under_a_limit_of_its_own_is_given_back_in_both() -> None:
    clock, quotas = Clock(), Quotas(runs_per_minute=10)
    rates = Rates(lambda _workspace: quotas, clock_ns=clock)
    assert began(rates, 4) == 4
    rates.give_back("a")
    assert began(rates) == 7


def test_a_quota_that_goes_leaves_the_limit_of_its_own() -> None:
    clock, quotas = Clock(), [Quotas(runs_per_minute=10)]
    rates = Rates(lambda _workspace: quotas[0], clock_ns=clock)
    assert began(rates, 4) == 4
    quotas[0] = Quotas()
    assert began(rates, 4) == 0
    clock.ns += 60 * S
    assert began(rates, 4) == 4
