"""How long a worker has to end a run that is overdue."""

import asyncio
import os
import socket
from collections.abc import Iterator

import pytest

from service.domain.outcome import Outcome, TimedOut
from service.workers import flights as module
from service.workers.child import Child, ExitStatus
from service.workers.ends import OVERDUE, End
from service.workers.flight import Call
from service.workers.flights import Flights
from service.workers.masks import Masks


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_MARGIN_S", 0.0)
    monkeypatch.setattr(module, "STUCK_GRACE_S", 0.01)
    monkeypatch.setattr(module, "OVERDUE_MAX_S", 1.0)


def flights_of(waits_s: Iterator[float], killed: "asyncio.Future[End]") -> Flights:
    return Flights(
        logs_max_bytes=1000, cancel=lambda _: None, kill=killed.set_result, read_max_bytes=lambda: 1000,
        is_unheard=lambda _: False, waited_s=lambda: next(waits_s), masks=Masks(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("step_s", "least_s", "most_s"),
    [(0.0, 0.01, 0.9), (0.01, 0.01, 0.9), (0.05, 1.0, 5.0)],
    ids=["it runs and does not answer", "it hardly waits", "it waits for a processor"],
)
async def test_what_a_worker_has_waited_for_a_processor_is_no_reason_to_end_it_but_for_so_long(
    step_s: float, least_s: float, most_s: float
) -> None:
    loop = asyncio.get_running_loop()
    killed: asyncio.Future[End] = loop.create_future()
    outcome: asyncio.Future[Outcome] = loop.create_future()
    flights = flights_of((step_s * number for number in range(10**6)), killed)
    flights.launch(Call("0", b"{}", 1), outcome)
    assert isinstance(await outcome, TimedOut)
    answered = loop.time()
    assert await asyncio.wait_for(killed, 5) is OVERDUE
    assert least_s * 0.9 < loop.time() - answered < most_s


async def test_how_long_a_process_has_waited_is_known_while_it_lives() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        exited: asyncio.Future[ExitStatus] = asyncio.get_running_loop().create_future()
        assert Child(os.getpid(), -1, ours, exited).waited_s() > 0.0
        assert Child(2**22 + 1, -1, ours, exited).waited_s() == 0.0
