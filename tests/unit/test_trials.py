"""The soak and the chaos hear what is wrong: each of their checks, given something that is."""

from collections import Counter

import pytest

from bench.counted import compare, parse
from bench.family import Kill
from bench.leaks import Held, Memory
from bench.ledger import Ledger, Reply
from bench.lost import Loss, explain, is_kill
from bench.tenant import Tenant


def lost(workspace: str, worker: str, sent: float, answered: float, reason: str = "ended by signal 9") -> Loss:
    return Loss(workspace, worker, Reply(502, {"error": "WorkerLost", "details": {"reason": reason}}, sent, answered))


def killed(at: float, *, is_orphan: bool = False) -> Kill:
    return Kill(1, at, is_orphan=is_orphan, gone=at)


@pytest.mark.parametrize(
    ("losses", "kills", "unexplained"),
    [
        ([lost("a", "1", 1, 2)], [killed(1.5)], 0),
        ([lost("a", "1", 1, 2), lost("a", "1", 1.2, 1.8)], [killed(1.5)], 0),
        ([lost("a", "1", 1, 2), lost("a", "", 1.4, 1.6)], [killed(1.5)], 0),
        # Only one way of dealing them out is right, and not the first that comes to mind.
        ([lost("a", "1", 1, 9), lost("b", "1", 1, 3)], [killed(2), killed(8)], 0),
        ([lost("a", "1", 1, 2)], [], 1),
        ([lost("a", "1", 1, 2)], [killed(0.5)], 1),
        ([lost("a", "1", 1, 2)], [killed(2.5)], 1),
        ([lost("a", "1", 1, 2), lost("a", "2", 1, 2)], [killed(1.5)], 1),
        ([lost("a", "1", 1, 2), lost("b", "", 1, 2)], [killed(1.5)], 1),
        ([lost("a", "1", 1, 2), lost("a", "1", 3, 4)], [killed(1.5), killed(3.5)], 2),
        ([lost("a", "1", 1, 2, "the worker ended")], [killed(1.5)], 1),
        ([lost("a", "1", 1, 2, "the worker ended")], [killed(1.5, is_orphan=True)], 0),
    ],
)
def test_every_lost_run_needs_a_kill_of_its_own_worker(losses: list[Loss], kills: list[Kill], unexplained: int) -> None:
    ledger = Ledger()
    explain(losses, kills, ledger)
    assert ledger.violations == Counter({"lost without a kill": unexplained} if unexplained else {})


def test_a_worker_that_was_killed_and_lives_is_heard_of() -> None:
    ledger = Ledger()
    explain([], [Kill(1, 0.0, is_orphan=False)], ledger)
    assert ledger.violations == {"killed and not gone": 1}


@pytest.mark.parametrize("reason", ["it was evicted", "it was replaced", "the worker ended itself with status 0"])
def test_another_end_than_a_kill_is_no_excuse(reason: str) -> None:
    assert not is_kill(lost("a", "1", 1, 2, reason).reply)


@pytest.mark.parametrize(
    ("result", "problem"),
    [
        ([5, 5, "w", 7], ""),
        ([7, 7, "w", 7], ""),
        ([4, 4, "w", 7], "a deploy that was lost"),
        ([6, 6, "w", 7], "a deploy that was refused and went live"),
        ([8, 8, "w", 7], "a version that nobody sent"),
        ([5, 4, "w", 7], "a deploy that was half done"),
        ([5, 5, "w", 8], "a result of another run"),
        ("5", "a result of another run"),
    ],
)
def test_a_run_returns_no_version_that_it_may_not(result: object, problem: str) -> None:
    tenant = Tenant("a", live=5, sent=7, undone={6}, may_be_there_until=float("inf"))
    assert tenant.problem(Reply(200, {"result": result}, 1, 2), oldest=5, n=7) == problem


def test_nobody_is_given_an_older_version_than_somebody_had_before() -> None:
    tenant = Tenant("a", live=5, sent=7, may_be_there_until=float("inf"))
    assert not tenant.problem(Reply(200, {"result": [7, 7, "w", 1]}, 1, 2), oldest=5, n=1)
    assert tenant.problem(Reply(200, {"result": [5, 5, "w", 2]}, 3, 4), oldest=tenant.live, n=2)


def test_a_run_of_what_was_deleted_is_heard_of() -> None:
    tenant = Tenant("a", live=5, sent=5, may_be_there_until=3)
    assert not tenant.problem(Reply(200, {"result": [5, 5, "w", 1]}, 2, 4), oldest=5, n=1)
    assert tenant.problem(Reply(200, {"result": [5, 5, "w", 1]}, 4, 5), oldest=5, n=1)


BEFORE = """
# HELP skep_runs_total Runs by outcome.
# TYPE skep_runs_total counter
skep_runs_total{outcome="returned"} 4
skep_requests_total{status="200"} 9
skep_runs_running 0
skep_runs_waiting 0
skep_workspace_runs_total{workspace="a",outcome="returned"} 4
"""
AFTER = """
skep_runs_total{outcome="returned"} 7.0
skep_runs_total{outcome="raised"} 1.0
skep_runs_total{outcome="cancelled"} 1.0
skep_requests_total{status="200"} 13.0
skep_requests_total{status="500"} 1.0
skep_requests_total{status="499"} 1.0
skep_runs_running 0.0
skep_runs_waiting 0.0
"""


def counted(**changes: str) -> Ledger:
    ledger = Ledger(left=1, outcomes=Counter(returned=3, raised=1), statuses=Counter({200: 3, 500: 1}))
    after = AFTER
    for old, new in changes.items():
        assert old in after
        after = after.replace(old, new)
    compare(parse(BEFORE), parse(after), ledger)
    return ledger


def test_equal_counts_are_equal() -> None:
    assert counted().details == []


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ('outcome="returned"} 7', 'outcome="returned"} 8'),
        ('outcome="raised"} 1', 'outcome="timed_out"} 1'),
        ('outcome="cancelled"} 1', 'outcome="cancelled"} 0'),
        ('status="200"} 13', 'status="200"} 12'),
        ('status="499"} 1', 'status="499"} 0'),
        ("skep_runs_running 0", "skep_runs_running 1"),
        ("skep_runs_waiting 0.0", ""),
    ],
)
def test_every_count_that_differs_is_heard_of(line: str, instead: str) -> None:
    assert counted(**{line: instead}).violations["counts differ"] >= 1


def test_a_service_that_does_not_count_is_not_passed_over_in_silence() -> None:
    ledger = Ledger()
    compare(None, None, ledger)
    assert "NOT COMPARED" in ledger.notes[0]


def test_what_a_service_holds_more_or_less_of_is_told() -> None:
    before, now = Held(Counter(socket=2, pipe=1)), Held(Counter(socket=3, pidfd=1))
    assert now.difference(before) == ["pidfd: 0 before, 1 now", "pipe: 1 before, 0 now", "socket: 2 before, 3 now"]


@pytest.mark.parametrize(("step_mib", "violations"), [(0.0, 0), (0.05, 0), (0.5, 1)])
def test_memory_that_grows_after_the_first_third_is_heard_of(step_mib: float, violations: int) -> None:
    ledger = Ledger()
    Memory([30.0 + number * step_mib for number in range(60)]).check(ledger, growth_max_mib=8)
    assert ledger.violations.total() == violations
