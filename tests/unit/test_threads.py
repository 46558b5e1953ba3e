"""Where there may be no more threads: those that are needed are there, and others are missed with a reason."""

import threading

import pytest

from service.broker.resolver import system_resolve
from service.threads import started_threads


def _refuse(_thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_all_threads_are_there_before_the_first_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    with started_threads(3, name="there") as threads:
        monkeypatch.setattr(threading.Thread, "start", _refuse)
        barrier = threading.Barrier(3)
        assert sorted(future.result(5) for future in [threads.submit(barrier.wait) for _ in range(3)]) == [0, 1, 2]


async def test_a_name_that_no_thread_can_look_up_cannot_be_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading.Thread, "start", _refuse)
    with pytest.raises(OSError, match="no more threads"):
        await system_resolve("localhost")
