"""What one worker must not have said: what it was given, and what is secret in its workspace now."""

import pytest

from sandbox import protocol
from service.domain.masking import Mask
from service.domain.outcome import CodeRefused, MemoryExceeded, Outcome, ParametersRefused, Raised, Returned
from service.errors import CodeError, Problem
from service.workers.masks import Masks

ENTRY = b'{"time":"t","level":"info","message":"the-first-value the-second-value"}'


def test_without_secrets_entries_and_outcomes_are_the_very_same() -> None:
    masks, entries = Masks(), [ENTRY]
    outcome = Raised("E", "m", "f", 1, "t", (), 1.0)
    assert masks.entries(entries)[0] is entries
    assert masks.entries(entries)[1] == 0
    assert masks.outcome(outcome) is outcome


def test_what_was_secret_when_it_started_stays_so_and_what_is_now_is_added() -> None:
    now: list[Mask | None] = [None]
    masks = Masks(Mask(["the-first-value"]), lambda: now[0])
    assert masks.text("the-first-value the-second-value") == "*** the-second-value"
    now[0] = Mask(["the-second-value"])
    assert masks.text("the-first-value the-second-value") == "*** ***"
    now[0] = None
    assert masks.text("the-first-value the-second-value") == "*** the-second-value"


def test_masking_counts_against_what_a_worker_may_send() -> None:
    masks = Masks(Mask(["the-first-value"]))
    (entry,), cost_bytes = masks.entries([ENTRY])
    assert b'"*** the-second-value"' in entry
    assert cost_bytes > len(ENTRY)


SAID = "x the-first-value y"


@pytest.mark.parametrize(
    "outcome",
    [
        Raised(SAID, SAID, SAID, 1, SAID, (), 1.0),
        ParametersRefused((Problem(SAID, SAID),)),
        CodeRefused([CodeError(SAID, 1, 2, SAID, SAID)]),
    ],
)
def test_every_text_about_a_failure_is_masked(outcome: Outcome) -> None:
    masked = Masks(Mask(["the-first-value"])).outcome(outcome)
    assert type(masked) is type(outcome)
    assert "the-first-value" not in repr(masked)
    assert repr(masked).count("x *** y") == repr(outcome).count(SAID)


def test_results_and_what_has_no_text_are_left_alone() -> None:
    masks = Masks(Mask(["the-first-value"]))
    for outcome in (Returned(b'"the-first-value"', (), 1.0), MemoryExceeded((), 1.0)):
        assert masks.outcome(outcome) is outcome


def test_what_a_worker_loads_shows_no_secret() -> None:
    load = protocol.Load("w", b"{}", b"", [], 1, 1, secrets={"A": "the-first-value"})
    assert "the-first-value" not in repr(load)
