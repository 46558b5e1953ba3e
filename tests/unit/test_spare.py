"""Whose idle worker gives up its place for one that is only wanted."""

import asyncio
from dataclasses import dataclass, field

import pytest

from service.workers.ends import EVICTED, End
from service.workers.fleet import BACKLOG_IDLE_S, FLOOR_IDLE_S
from service.workers.pools import Pools


@dataclass
class Worker:
    """One that has been idle for so long."""

    idle_since: float
    is_idle: bool = True
    killed: list[End] = field(default_factory=list)

    def kill(self, why: End) -> None:
        self.killed.append(why)


@dataclass
class Pool:
    """One with these workers, none of them kept warm."""

    workers: list[Worker]
    has_spare: bool = True


@pytest.mark.parametrize(
    ("idle_s", "count", "wanted_after_s", "is_given"),
    [
        (5, 1, BACKLOG_IDLE_S, True),
        (5, 1, FLOOR_IDLE_S, False),  # its cache would be lost for a worker that nobody waits for
        (61, 1, FLOOR_IDLE_S, True),
        (5, 2, FLOOR_IDLE_S, True),
        (0, 2, FLOOR_IDLE_S, False),
    ],
)
async def test_the_only_worker_of_a_workspace_is_not_taken_away_for_one_that_nobody_waits_for(
    idle_s: float, count: int, wanted_after_s: float, is_given: bool  # a column
) -> None:  # fmt: skip
    now = asyncio.get_running_loop().time()
    workers = [Worker(now - idle_s) for _ in range(count)]
    pools = object.__new__(Pools)
    pools._pools = {"w": Pool(workers)}  # type: ignore[dict-item]  # what it looks at, and no more
    assert pools._spare(wanted_after_s) is is_given  # the rule by itself
    assert [worker.killed for worker in workers].count([EVICTED]) == int(is_given)
