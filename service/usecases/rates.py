"""How many runs a workspace may begin: a bucket of tokens for each that has such a quota.

A bucket is one number, the time at which it will be full again (the generic cell rate algorithm, ITU-T I.371). Time is
counted in nanoseconds times runs a minute, so that a token always costs the same whole number: nothing is ever rounded,
and a quota that is changed leaves as many tokens spent as there were.
"""

import time
from collections.abc import Callable
from typing import Final

from service.domain.quotas import Quotas, Rate, RateState
from service.errors import QuotaSpent

TOKEN: Final = 60 * 10**9
"""What one run costs: a minute, at one run a minute."""
BUCKETS_MAX: Final = 100_000
"""Beyond this those with the least spent are forgotten, as if they were full."""
FORGET_AFTER_NS: Final = 60 * 10**9
"""A bucket has been full for so long when it is forgotten."""
FORGET_MIN: Final = 1024


class Bucket:
    """What one workspace has left."""

    __slots__ = ("full_at", "most", "outer", "own_per_minute", "per_minute", "quotas")

    def __init__(self) -> None:
        self.quotas: Quotas | None = None
        """Those that its rate is taken from, and what the workspace says itself."""
        self.own_per_minute = 0
        self.per_minute = 0
        self.most = 0
        """What a full one is worth."""
        self.full_at = 0
        """In nanoseconds times runs a minute."""
        self.outer: Bucket | None = None
        """What the operator lets it have, where the workspace limits itself to less: who sets a limit and takes it away
        again must have left what it had left.
        """

    def narrow(self, most: Rate | None, rate: Rate, now_ns: int) -> None:
        """The operator allows `most`, and of this the workspace wants `rate`."""
        if most is None or most == rate:
            outer, self.outer = self.outer, None
            if outer is not None and most is not None:
                self.per_minute, self.most, self.full_at = outer.per_minute, outer.most, outer.full_at
        else:
            if self.outer is None:
                self.outer = Bucket()
                self.outer.per_minute, self.outer.most, self.outer.full_at = self.per_minute, self.most, self.full_at
            self.outer.become(most, now_ns)
        self.become(rate, now_ns)

    def become(self, rate: Rate, now_ns: int) -> None:
        """The quota has changed: what was spent stays spent, as far as the new one goes."""
        self.most = rate.burst * TOKEN
        spent = min(max(0, self.full_at - now_ns * self.per_minute), self.most)
        self.full_at = now_ns * rate.per_minute + spent
        self.per_minute = rate.per_minute

    def state(self, now_ns: int) -> RateState:
        """What is left."""
        spent = self.full_at - now_ns * self.per_minute
        if spent <= 0:
            return self._within_outer(RateState(self.per_minute, self.most // TOKEN, 0), now_ns)
        # A part of a token is missing for the next one to be whole.
        missing = spent % TOKEN or TOKEN
        state = RateState(self.per_minute, (self.most - spent) // TOKEN, -(-missing // (self.per_minute * 10**9)))
        return self._within_outer(state, now_ns)

    def _within_outer(self, state: RateState, now_ns: int) -> RateState:
        if self.outer is None:
            return state
        outer = self.outer.state(now_ns)
        return state if outer.remaining >= state.remaining else outer._replace(limit=state.limit)

    def is_full(self, now_ns: int) -> bool:
        """Whether nothing of it is spent."""
        is_full = self.full_at <= now_ns * self.per_minute
        return is_full and (self.outer is None or self.outer.is_full(now_ns))

    def spent(self, now_ns: int) -> int:
        """What is."""
        spent = self.full_at - now_ns * self.per_minute
        return spent if self.outer is None else max(spent, self.outer.spent(now_ns))


class Rates:
    """The buckets of all workspaces, in one service. `quotas_of`: what a workspace may have."""

    def __init__(self, quotas_of: Callable[[str], Quotas], *, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._quotas_of = quotas_of
        self._clock_ns = clock_ns
        self.buckets: dict[str, Bucket] = {}
        self._forget_at = FORGET_MIN

    def take(self, workspace: str, *, own_per_minute: int = 0) -> bool:
        """Take a token for one run; False if there is no such quota. Raises: QuotaSpent."""
        bucket, now_ns = self.buckets.get(workspace), self._clock_ns()
        if bucket is None or bucket.quotas is not self._quotas_of(workspace) or bucket.own_per_minute != own_per_minute:
            bucket = self._look_up(workspace, own_per_minute, now_ns)
            if bucket is None:
                return False
        now = now_ns * bucket.per_minute
        full_at = bucket.full_at + TOKEN if bucket.full_at > now else now + TOKEN
        if full_at - now > bucket.most:
            raise QuotaSpent(bucket.per_minute, retry_after_s=bucket.state(now_ns).reset_s)
        if (outer := bucket.outer) is not None:
            now = now_ns * outer.per_minute
            outer_full_at = max(outer.full_at, now) + TOKEN
            if outer_full_at - now > outer.most:
                raise QuotaSpent(outer.per_minute, retry_after_s=outer.state(now_ns).reset_s)
            outer.full_at = outer_full_at
        bucket.full_at = full_at
        return True

    def give_back(self, workspace: str) -> None:
        """A run for which a token was taken did not begin, and that was not its caller's fault."""
        bucket = self.buckets.get(workspace)
        if bucket is not None:
            bucket.full_at -= TOKEN
            if bucket.outer is not None:
                bucket.outer.full_at -= TOKEN

    def state(self, workspace: str, *, own_per_minute: int | None = None) -> RateState | None:
        """What is left to a workspace; None if it may begin any number of runs.

        `own_per_minute`: as for `take`; None for what it was when a token was last taken.
        """
        bucket, now_ns = self.buckets.get(workspace), self._clock_ns()
        if bucket is not None and own_per_minute is not None:
            bucket = self._look_up(workspace, own_per_minute, now_ns)
        if bucket is not None:
            return bucket.state(now_ns)
        rate = self._quotas_of(workspace).rate(own_per_minute or 0)
        return None if rate is None else RateState(rate.per_minute, rate.burst, 0)

    def changed(self, workspace: str | None) -> None:
        """The quotas of a workspace are other ones, or those of all of them."""
        for name in tuple(self.buckets) if workspace is None else (workspace,):
            if self._quotas_of(name).rate() is None:
                # If it limits itself it begins anew.
                self.buckets.pop(name, None)

    def _look_up(self, workspace: str, own_per_minute: int, now_ns: int) -> Bucket | None:
        quotas = self._quotas_of(workspace)
        rate = quotas.rate(own_per_minute)
        if rate is None:
            self.buckets.pop(workspace, None)
            return None
        bucket = self.buckets.get(workspace)
        if bucket is None:
            if len(self.buckets) >= self._forget_at:
                self._forget(now_ns)
            bucket = self.buckets[workspace] = Bucket()
        bucket.narrow(quotas.rate(), rate, now_ns)
        bucket.quotas, bucket.own_per_minute = quotas, own_per_minute
        return bucket

    def _forget(self, now_ns: int) -> None:
        """Drop what makes no difference: one look at each for every so many that were added."""
        kept = {name: bucket for name, bucket in self.buckets.items() if not bucket.is_full(now_ns - FORGET_AFTER_NS)}
        if len(kept) > BUCKETS_MAX // 2:
            by_spent = sorted(kept.items(), key=lambda item: item[1].spent(now_ns))
            kept = dict(by_spent[-(BUCKETS_MAX // 2) :])
        self.buckets = kept
        self._forget_at = max(FORGET_MIN, 2 * len(kept))
