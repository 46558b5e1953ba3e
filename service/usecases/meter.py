"""Where runs are counted against the rate of their workspace. Runs of workspaces without one pass by."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from service.database.quotas import QuotaTable
from service.domain.outcome import Completed, Rejected
from service.domain.quotas import OwnLimits
from service.errors import QuotaSpent, SkepError
from service.metrics.metrics import Metrics
from service.usecases.rates import Rates

T = TypeVar("T")


class Meter:
    """A run that could not begin for want of room, or of anything that is ours to give, counts for nothing."""

    def __init__(self, quotas: QuotaTable, rates: Rates, metrics: Metrics) -> None:
        self._quotas = quotas
        self._rates = rates
        self._metrics = metrics

    def is_for(self, limits: OwnLimits | None) -> bool:
        """Whether a run of a workspace that says this of itself is metered. Asked for every run."""
        return limits is not None or self._quotas.has_rates or bool(self._rates.buckets)

    async def metered(self, workspace: str, limits: OwnLimits | None, begin: Callable[[], Awaitable[T]]) -> T:
        """Begin a run, or accept one for later, if there is a token for it. Raises: QuotaSpent, and as `begin`."""
        try:
            has_rate = self._rates.take(workspace, own_per_minute=0 if limits is None else limits.runs_per_minute)
        except QuotaSpent:
            self._metrics.tally(workspace).ended("quota_spent", duration_ms=None, queued_s=None)
            raise
        try:
            result = await begin()
        except SkepError:
            if has_rate:
                self._rates.give_back(workspace)
            raise
        if has_rate and isinstance(result, Completed) and type(result.outcome) is Rejected:
            self._rates.give_back(workspace)
        return result
