"""What a run must pay for, and what it need not."""

from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import Any

import pytest

from service.domain.outcome import Completed, Outcome, ParametersRefused, Raised, Rejected, Returned
from service.domain.quotas import OwnLimits, Quotas
from service.errors import DatabaseUnavailable, QuotaSpent, SkepError, WorkersUnavailable, WorkspaceBroken
from service.metrics.metrics import Metrics
from service.usecases.meter import Meter
from service.usecases.rates import Rates

PER_MINUTE = 10


class Table:
    """Every workspace has the same quotas."""

    has_rates = True

    def of(self, _workspace: str) -> Quotas:
        return Quotas(runs_per_minute=PER_MINUTE)


def make_meter() -> tuple[Meter, Rates]:
    table: Any = Table()
    rates = Rates(table.of, clock_ns=lambda: 1)
    return Meter(table, rates, Metrics(workspaces_max=1)), rates


def ends_with(ended: Outcome | SkepError | str) -> Callable[[], Awaitable[object]]:
    async def begin() -> object:
        if isinstance(ended, SkepError):
            raise ended
        return ended if isinstance(ended, str) else Completed(ended, 0.0, None)

    return begin


@pytest.mark.parametrize(
    ("ended", "is_paid"),
    [
        (Returned(b"1", (), 0.0), True),
        (Raised("ValueError", "", "f", 1, "", (), 0.0), True),
        (ParametersRefused(()), True),
        ("accepted for later", True),
        (Rejected("queue full", 1), False),
        (Rejected("waited too long", 1), False),
        (WorkersUnavailable("x"), False),
        (WorkspaceBroken("w", "x"), False),
        (DatabaseUnavailable("x"), False),
    ],
)
async def test_who_did_not_begin_because_of_us_has_its_token_back(ended: Any, is_paid: bool) -> None:
    meter, rates = make_meter()
    with pytest.raises(type(ended)) if isinstance(ended, SkepError) else nullcontext():
        await meter.metered("w", None, ends_with(ended))
    state = rates.state("w")
    assert state is not None
    assert state.remaining == PER_MINUTE - is_paid


async def test_nothing_begins_when_all_is_spent() -> None:
    meter, _ = make_meter()
    for _ in range(3):
        await meter.metered("w", OwnLimits(runs_per_minute=3), ends_with("x"))
    with pytest.raises(QuotaSpent):
        await meter.metered("w", OwnLimits(runs_per_minute=3), ends_with(WorkersUnavailable("begun")))
