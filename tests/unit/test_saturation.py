"""When workers have as much to compute as they can, and when fewer of them would do."""

from dataclasses import dataclass

import pytest

from service.workers.sampling import Usage
from service.workers.saturation import Saturation


@dataclass(frozen=True, eq=False)
class Worker:
    """One that takes this share of a processor."""

    pid: int
    share: float
    workspace: str = "w"


class Clock:
    """Reads what workers have used by now."""

    def __init__(self, workers: list[Worker]) -> None:
        self.now = 0.0
        self.workers = {worker.pid: worker for worker in workers}

    def read(self, pid: int) -> Usage | None:
        worker = self.workers.get(pid)
        return None if worker is None else Usage(0, self.now * worker.share, 0)


@pytest.mark.parametrize(
    ("shares", "is_full", "needed"),
    [
        ([1.0], True, 1),
        ([0.5], False, 1),
        ([1.0, 0.9], True, 2),
        ([0.5, 0.5], False, 2),  # two processors, and others on them: neither more nor fewer would help
        ([0.3, 0.3], False, 1),
        ([1.0, 0.1, 0.0], False, 2),
        ([0.0, 0.0, 0.0], False, 1),
    ],
)
def test_more_or_fewer(shares: list[float], is_full: bool, needed: int) -> None:  # a column
    workers = [Worker(pid, share) for pid, share in enumerate(shares, 1)]
    clock = Clock(workers)
    saturation = Saturation(clock.read)
    for clock.now in (10.0, 11.0):
        saturation.look(clock.now, workers)
    assert (saturation.is_full, saturation.needed) == (is_full, needed)


def test_of_a_worker_that_has_just_come_or_is_gone_nothing_is_known() -> None:
    workers = [Worker(1, 1.0)]
    clock = Clock(workers)
    saturation = Saturation(clock.read)
    saturation.look(10.0, workers)
    assert not saturation.is_full
    workers.append(Worker(2, 1.0))
    saturation.look(11.0, workers)
    assert not saturation.is_full


def test_a_look_too_soon_changes_nothing() -> None:
    workers = [Worker(1, 1.0)]
    clock = Clock(workers)
    saturation = Saturation(clock.read)
    for clock.now in (10.0, 11.0, 11.1):
        saturation.look(clock.now, workers)
    assert saturation.is_full
