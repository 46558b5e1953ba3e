"""When the next zygote is started, and which ends of workers are held against their workspace."""

import signal

from sandbox import protocol
from service.workers.answers import end_of, not_loaded
from service.workers.child import WITH_ITS_ZYGOTE
from service.workers.contract import NotItsFault, WorkerDied
from service.workers.ends import is_crash
from service.workers.zygote import PAUSE_MAX_S, PAUSE_S, STEADY_S, next_pause_s


def test_the_first_is_replaced_at_once_and_one_that_keeps_dying_later_and_later() -> None:
    pauses = [next_pause_s(None, lived_s=0)]
    while pauses[-1] < PAUSE_MAX_S:
        pauses.append(next_pause_s(pauses[-1], lived_s=0))
    assert pauses[:4] == [0, PAUSE_S, 2 * PAUSE_S, 4 * PAUSE_S]
    assert next_pause_s(PAUSE_MAX_S, lived_s=0) == PAUSE_MAX_S


def test_one_that_lived_for_long_is_replaced_at_once_again() -> None:
    assert next_pause_s(PAUSE_MAX_S, lived_s=STEADY_S) == 0


def test_a_worker_that_was_lost_with_its_zygote_or_never_locked_in_says_nothing_about_its_workspace() -> None:
    for end in (end_of(WITH_ITS_ZYGOTE, has_loaded=True), end_of(protocol.NOT_LOCKED_IN, has_loaded=False)):
        assert not is_crash(end)
        assert isinstance(not_loaded(end), NotItsFault)


def test_hostile_code_cannot_end_in_a_way_that_is_not_held_against_it() -> None:
    for status in (protocol.NOT_LOCKED_IN, 0, -signal.SIGKILL, None):
        end = end_of(status, has_loaded=True)
        assert is_crash(end)
        assert type(not_loaded(end)) is WorkerDied
