"""A quota on runs under way, by itself: pools of one workspace without processes."""

import asyncio
from typing import Any, cast

from service.domain.outcome import Completed, Outcome, Returned
from service.workers.account import Account
from service.workers.admission import Admission
from service.workers.common import Common
from service.workers.flight import Call
from service.workers.pool import Pool

VERSION = "v"


class Worker:
    """One with room for any number of runs, which end when they are told to."""

    has_room = True
    is_ending = False
    retired = None
    runs = 0
    idle_since = 0.0

    def __init__(self) -> None:
        self.began: list[str] = []
        self.outcomes: dict[str, asyncio.Future[Outcome]] = {}

    def launch(self, call: Call, outcome: "asyncio.Future[Outcome]") -> Any:
        self.began.append(call.run_id)
        self.outcomes[call.run_id] = outcome
        return object()


class Rig:
    """Pools of one workspace that share a worker's list of what began."""

    def __init__(self, *, quota: int, runs_max: int = 100, pools: int = 2) -> None:
        self.quota = quota
        self.admission = Admission(
            runs_max=runs_max, waiting_max=100, held_max_bytes=100, quota_of=lambda _workspace: self.quota
        )
        nothing: Any = type("Nothing", (), {"places": type("Places", (), {"wanted": 0})})
        self.worker = Worker()
        self.account = Account("w")
        self.pools = []
        for number in range(pools):
            pool = Pool(f"w@{number}", self.account, Common(nothing, self.admission, nothing))
            fleet: Any = pool._fleet
            fleet.version, fleet._workers = VERSION, [self.worker]
            self.account.pools[pool.key] = pool
            self.pools.append(pool)

    async def ask(self, pool: int, run_id: str) -> None:
        """A run begins or waits before this returns."""
        call = Call(run_id, b"{}", 1000, "f")
        if self.pools[pool].begin(call, VERSION) is None:
            task = asyncio.ensure_future(self.pools[pool].run(call, VERSION))
            self.tasks = [*getattr(self, "tasks", []), task]
            await asyncio.sleep(0)

    def end(self, pool: int, run_id: str) -> None:
        self.worker.outcomes[run_id].set_result(Returned(b"1", (), 0.0))
        self.pools[pool].landed(cast("Any", self.worker))


async def test_pools_of_a_workspace_share_what_it_may_have_under_way() -> None:
    rig = Rig(quota=2)
    for pool, run_id in ((0, "a"), (1, "b"), (0, "c"), (1, "d"), (0, "e")):
        await rig.ask(pool, run_id)
    assert (rig.worker.began, rig.account.running, rig.account.waiting) == (["a", "b"], 2, 3)
    # Whichever pool a run has ended in, the one goes on that has waited longest.
    rig.end(1, "b")
    assert rig.worker.began == ["a", "b", "c"]
    rig.end(0, "a")
    assert rig.worker.began == ["a", "b", "c", "d"]
    rig.end(1, "d")
    rig.end(0, "c")
    assert (rig.worker.began[-1], rig.account.running, rig.account.waiting) == ("e", 1, 0)
    assert [type(await task) for task in rig.tasks[:2]] == [Completed, Completed]


async def test_a_limit_that_only_one_of_the_pools_has_holds_up_no_other() -> None:
    rig = Rig(quota=0)
    rig.pools[1]._quota = 1
    for pool, run_id in ((0, "a"), (1, "b"), (0, "c")):
        await rig.ask(pool, run_id)
    assert rig.worker.began == ["a", "c"]
    rig.end(0, "a")
    rig.end(0, "c")
    assert rig.worker.began == ["a", "c", "b"]


async def test_a_turn_that_comes_when_there_is_no_room_left_in_the_quota_goes_to_the_next() -> None:
    rig = Rig(quota=0, runs_max=1, pools=1)
    await rig.ask(0, "a")
    await rig.ask(0, "b")
    # In line for a turn of the whole service; meanwhile the quota has come to be spent.
    rig.quota = 1
    rig.pools[0].look_up_quota()
    rig.account.running += 1
    rig.admission.end(rig.account)
    assert rig.worker.began == ["a"]
    rig.account.running -= 1
    rig.pools[0].dispatch()
    assert rig.worker.began == ["a", "b"]
