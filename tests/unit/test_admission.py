"""Turns between workspaces, waiting in order, and pauses between crashes: by themselves, without processes."""

import asyncio
from dataclasses import dataclass, field

from service.domain.outcome import Rejected
from service.workers.account import Account
from service.workers.admission import Admission
from service.workers.crashes import BACK_OFF_MAX_S, BACK_OFF_S, CRASHES_MAX, FORGET_S, WINDOW_S, Crashes
from service.workers.flight import Call
from service.workers.waiting import Waiting

CALL = Call("id", b"{}", 1000, "f")


@dataclass
class Claimant:
    """Somebody with so many runs to begin, and room for them."""

    admission: Admission
    waiting: int
    running: int = 0
    held_bytes: int = 0
    began: list["Claimant"] = field(default_factory=list)
    has_room: bool = True

    @property
    def account(self) -> "Claimant":
        return self

    def begin_next(self) -> bool:
        if not self.waiting or not self.has_room:
            return False
        self.waiting -= 1
        self.admission.begin(self)
        self.began.append(self)
        return True


def test_turns_go_round() -> None:
    admission = Admission(runs_max=1, waiting_max=100, held_max_bytes=100)
    began: list[Claimant] = []
    many, few, one = (Claimant(admission, waiting, began=began) for waiting in (100, 2, 1))
    for claimant in (many, few, one):
        admission.line_up(claimant)
    for _ in range(5):
        admission.end(began[-1])
    assert began == [many, many, few, one, many, few]


def test_a_line_of_those_who_cannot_begin_holds_up_nobody() -> None:
    admission = Admission(runs_max=9, waiting_max=100, held_max_bytes=100)
    greedy, stuck, next_one = Claimant(admission, 100), Claimant(admission, 5, has_room=False), Claimant(admission, 1)
    for claimant in (greedy, stuck, next_one):
        admission.line_up(claimant)
    assert (greedy.running, stuck.running, next_one.running) == (5, 0, 1)


def test_what_ended_is_not_counted_any_more() -> None:
    admission = Admission(runs_max=4, waiting_max=100, held_max_bytes=100)
    claimant = Claimant(admission, 50)
    admission.line_up(claimant)
    while claimant.running:
        admission.end(claimant)
    assert (admission.running, claimant.waiting) == (0, 0)
    assert admission.may_begin(claimant)


def test_one_workspace_may_not_fill_the_queue_of_the_service() -> None:
    admission = Admission(runs_max=1, waiting_max=90, held_max_bytes=100)
    own = 0
    while admission.may_wait(own):
        own += 1
        admission.waiting += 1
    assert own == 46
    assert admission.may_wait(0)


def test_requests_of_one_workspace_may_not_fill_the_memory_of_the_service() -> None:
    admission = Admission(runs_max=1, waiting_max=90, held_max_bytes=100)
    greedy, modest = Claimant(admission, 0), Claimant(admission, 0)
    with admission.holding(greedy, 40) as first, admission.holding(greedy, 40) as second:
        assert (first, second) == (True, False)
        with admission.holding(modest, 20) as third:
            assert third
    assert greedy.held_bytes == modest.held_bytes == 0
    with admission.holding(greedy, 50) as again:
        assert again
    with admission.holding(greedy, 51) as too_large:
        assert not too_large


async def test_the_queue_is_in_order_and_counts_for_the_whole_service() -> None:
    admission = Admission(runs_max=1, waiting_max=90, held_max_bytes=100)
    waiting = Waiting(admission, Account("w"))
    tickets = [waiting.append(CALL, timeout_ms=60_000, is_cold=False) for _ in range(4)]
    assert admission.waiting == len(waiting) == 4
    waiting.remove(tickets[1])
    waiting.remove(tickets[1])
    assert [waiting.pop() for _ in range(3)] == [tickets[0], tickets[2], tickets[3]]
    assert admission.waiting == len(waiting) == 0


async def test_a_shorter_wait_behind_a_longer_one_ends_in_its_own_time() -> None:
    waiting = Waiting(Admission(runs_max=1, waiting_max=90, held_max_bytes=100), Account("w"))
    long, short = (waiting.append(CALL, timeout_ms=timeout_ms, is_cold=False) for timeout_ms in (60_000, 20))
    assert await short.outcome == Rejected("waited too long", 1)
    assert not long.outcome.done()
    assert waiting.pop() is long


async def test_who_cannot_be_run_is_told_each_with_an_exception_of_its_own() -> None:
    waiting = Waiting(Admission(runs_max=1, waiting_max=90, held_max_bytes=100), Account("w"))
    tickets = [waiting.append(CALL, timeout_ms=60_000, is_cold=False) for _ in range(2)]
    waiting.refuse(lambda: ValueError("x"))
    raised = await asyncio.gather(*(ticket.outcome for ticket in tickets), return_exceptions=True)
    assert [type(error) for error in raised] == [ValueError] * 2
    assert raised[0] is not raised[1]


def test_crashes_in_a_row_bring_longer_and_longer_pauses() -> None:
    crashes, now = Crashes(), 100.0
    assert not any(crashes.record(now, "x") for _ in range(CRASHES_MAX - 1))
    pauses = []
    for _ in range(8):
        assert crashes.record(now, "signal 9")
        pauses.append(crashes.pause_s(now))
        now += pauses[-1]
        assert crashes.pause_s(now) == 0
    assert pauses[:3] == [BACK_OFF_S, BACK_OFF_S * 2, BACK_OFF_S * 4]
    assert pauses[-1] == BACK_OFF_MAX_S
    assert crashes.record(now + FORGET_S + 1, "x") is False


def test_crashes_now_and_then_are_no_loop() -> None:
    crashes = Crashes()
    assert not any(crashes.record(100 + number * WINDOW_S / 3, "x") for number in range(50))
    assert crashes.pause_s(200) == 0


def test_new_code_gets_a_new_chance() -> None:
    crashes = Crashes()
    for _ in range(CRASHES_MAX):
        crashes.record(100, "x")
    crashes.forget()
    assert crashes.pause_s(100) == 0
    assert not crashes.record(100, "x")
