"""Metrics: what is counted is what is shown, in formats that parse, in bounded number, and totals never go down."""

import re
import timeit
import tracemalloc
from pathlib import Path
from typing import get_args

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.registry import REGISTRY

from service.metrics import series
from service.metrics.metrics import Metrics
from service.metrics.observation import Live, Observation, Usage, Used, WorkerState
from service.metrics.tally import Ended, EndReason, StartKind

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def families(metrics: Metrics, accept: str | None = None) -> dict[str, Metric]:
    """By name, as the parser of the format's own authors reads what was shown."""
    body, content_type = metrics.expose(accept)
    parse = parse_openmetrics if content_type.startswith("application/openmetrics-text") else parse_text
    return {family.name: family for family in parse(body.decode())}


def values(metrics: Metrics, accept: str | None = None) -> dict[tuple[str, ...], float]:
    """Every sample: its name and the values of its labels (a workspace's before others), to its value."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items(), reverse=True))): sample.value
        for family in families(metrics, accept).values()
        for sample in family.samples
    }


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(workspaces_max=3)


def fill(metrics: Metrics, workspaces: int) -> None:
    for number in range(workspaces):
        tally = metrics.tally(f"w{number}")
        tally.returned(2.0, 0.0)
        for outcome in get_args(Ended):
            tally.ended(outcome, duration_ms=None, queued_s=None)


FORMATS = [
    (None, "text/plain; version=0.0.4; charset=utf-8"),
    ("", "text/plain; version=0.0.4; charset=utf-8"),
    ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
    ("text/html", "text/plain; version=0.0.4; charset=utf-8"),
    ("text/plain;version=0.0.4", "text/plain; version=0.0.4; charset=utf-8"),
    ("text/plain;version=1.0.0", "text/plain; version=1.0.0; charset=utf-8; escaping=underscores"),
    ("application/openmetrics-text", "application/openmetrics-text; version=1.0.0; charset=utf-8"),
    (
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
        "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
    ),
    # What would break the encoders, or would be repeated in the answer's own header.
    ("application/openmetrics-text;version=a", "text/plain; version=0.0.4; charset=utf-8"),
    ("application/openmetrics-text; version=1.a.0", "text/plain; version=0.0.4; charset=utf-8"),
    ("text/plain;version=1", "text/plain; version=0.0.4; charset=utf-8"),
    ("text/plain;version=2.\udc80", "text/plain; version=0.0.4; charset=utf-8"),
    ("application/openmetrics-text;version=2.<b>", "text/plain; version=0.0.4; charset=utf-8"),
    ("application/openmetrics-text;version=1.0.0;version=9.x", "text/plain; version=0.0.4; charset=utf-8"),
    (",;=version,;", "text/plain; version=0.0.4; charset=utf-8"),
]


@pytest.mark.parametrize(("accept", "content_type"), FORMATS)
def test_a_format_that_is_asked_for_is_spoken_and_parses(
    metrics: Metrics, accept: str | None, content_type: str
) -> None:
    fill(metrics, 3)
    assert metrics.expose(accept)[1] == content_type
    shown = families(metrics, accept)
    names = {one.name.removesuffix("_total") for one in series.ALL}
    assert names <= shown.keys()
    assert {name for name in shown if name.startswith("skep_")} == names
    assert {"process_cpu_seconds", "process_open_fds", "python_gc_collections"} <= shown.keys()
    ours = {sample: value for sample, value in values(metrics, accept).items() if sample[0].startswith("skep_")}
    assert ours == {sample: value for sample, value in values(metrics).items() if sample[0].startswith("skep_")}


def test_pieces_are_the_whole_and_each_family_is_there_once() -> None:
    metrics = Metrics(workspaces_max=100)
    fill(metrics, 100)
    for accept in (None, "application/openmetrics-text"):
        pieces = list(metrics.pieces(accept)[0])
        assert len(pieces) > 100 * 11 / 50
        body = b"".join(pieces).decode()
        assert body.count("# TYPE skep_workspace_runs") == 1
        assert body.count("\nskep_workspace_runs_total{") == 100 * (1 + len(get_args(Ended)))
        assert body.count("# EOF") == (accept is not None)


def test_each_run_is_counted_once_by_how_it_ended(metrics: Metrics) -> None:
    tally = metrics.tally("w")
    tally.returned(0.5, 0.0)
    tally.returned(30.0, 0.02)
    tally.ended("raised", duration_ms=1.0, queued_s=0.0)
    tally.ended("queue_timeout", duration_ms=None, queued_s=2.5)
    tally.ended("queue_full", duration_ms=None, queued_s=None)
    shown = values(metrics)
    for name, labels in (("skep_runs_total", ()), ("skep_workspace_runs_total", ("w",))):
        assert shown[name, *labels, "returned"] == 2
        assert shown[name, *labels, "raised"] == shown[name, *labels, "queue_full"] == 1
    assert shown["skep_runs_total", "timed_out"] == 0
    assert ("skep_workspace_runs_total", "w", "timed_out") not in shown
    assert shown["skep_run_seconds_count",] == 3
    assert shown["skep_run_seconds_sum",] == pytest.approx(0.0315)
    assert [shown["skep_run_seconds_bucket", le] for le in ("0.001", "0.025", "0.05", "30.0", "+Inf")] == [
        2,
        2,
        3,
        3,
        3,
    ]
    assert shown["skep_queue_seconds_count",] == 4
    assert shown["skep_queue_seconds_sum",] == pytest.approx(2.52)
    assert [shown["skep_queue_seconds_bucket", le] for le in ("0.0", "0.001", "0.025", "2.5", "+Inf")] == [
        2,
        2,
        3,
        4,
        4,
    ]


def test_what_happens_to_workers_and_requests_is_counted(metrics: Metrics) -> None:
    for kind in get_args(StartKind):
        metrics.worker_started(kind, 0.004)
    for reason in get_args(EndReason):
        metrics.worker_ended(reason)
    for status in (200, 200, 499):
        metrics.request(status)
    metrics.zygote_started()
    metrics.fork_failed()
    metrics.cache_operation()
    shown = values(metrics)
    assert all(shown["skep_worker_starts_total", kind] == 1 for kind in get_args(StartKind))
    assert all(shown["skep_worker_ends_total", reason] == 1 for reason in get_args(EndReason))
    assert shown["skep_worker_start_seconds_bucket", "0.005"] == shown["skep_worker_start_seconds_count",] == 3
    assert (shown["skep_requests_total", "200"], shown["skep_requests_total", "499"]) == (2, 1)
    assert {
        shown[name,] for name in ("skep_zygote_starts_total", "skep_fork_failures_total", "skep_cache_operations_total")
    } == {1}


def test_how_things_stand_is_asked_when_somebody_looks(metrics: Metrics) -> None:
    metrics.tally("a")
    assert {values(metrics)["skep_workers", state] for state in get_args(WorkerState)} == {0}
    metrics.observe(lambda: Observation(3, 4, {"busy": 2}, 5, {"a": Live(6, 7), "unknown": Live(1, 1)}))
    metrics.observe_usage(lambda: Usage(100, 60, 1.5, {"a": Used(60, 1.25), "unknown": Used(40, 0.25)}))
    shown = values(metrics)
    assert [shown[name,] for name in ("skep_runs_running", "skep_runs_waiting", "skep_cache_bytes")] == [3, 4, 5]
    assert (shown["skep_workers", "busy"], shown["skep_workers", "idle"]) == (2, 0)
    assert (shown["skep_workspace_waiting", "a"], shown["skep_workspace_workers", "a"]) == (6, 7)
    assert (shown["skep_worker_memory_bytes", "sum"], shown["skep_worker_memory_bytes", "max"]) == (100, 60)
    assert shown["skep_worker_cpu_seconds_total",] == 1.5
    assert (shown["skep_workspace_memory_bytes", "a"], shown["skep_workspace_cpu_seconds_total", "a"]) == (60, 1.25)
    assert not [sample for sample in shown if "unknown" in sample]


def test_ten_thousand_workspaces_have_as_many_series_as_a_hundred() -> None:
    metrics = Metrics(workspaces_max=100)
    fill(metrics, 100)
    before = len(values(metrics))
    fill(metrics, 10_000)
    shown = values(metrics)
    assert len(shown) == before
    assert shown["skep_runs_total", "returned"] == 10_100
    assert len(metrics.workspaces) == 100


def test_totals_never_go_down_while_workspaces_come_and_go(metrics: Metrics) -> None:
    before = 0.0
    for number in range(50):
        tally = metrics.tally(f"w{number}")
        tally.returned(1.0, 0.0)
        if number % 2:
            metrics.forget(f"w{number}")
            tally.returned(1.0, 0.0)  # it was under way when its workspace was deleted
        now = values(metrics)["skep_runs_total", "returned"]
        assert now == before + 1 + number % 2
        before = now
    assert len(metrics.workspaces) == 3


def test_a_room_that_becomes_free_goes_to_the_next_that_asks(metrics: Metrics) -> None:
    fill(metrics, 4)
    assert metrics.workspaces == {"w0", "w1", "w2"}
    metrics.forget("w1")
    metrics.forget("w1")
    metrics.forget("never there")
    metrics.tally("w3").returned(1.0, 0.0)
    assert metrics.workspaces == {"w0", "w2", "w3"}
    assert values(metrics)["skep_workspace_runs_total", "w3", "returned"] == 1


def test_creating_and_deleting_workspaces_without_end_takes_no_memory(metrics: Metrics) -> None:
    def churn() -> None:
        for number in range(1000):
            metrics.tally(f"w{number}").returned(1.0, 0.0)
            metrics.tally(f"w{number}").ended("raised", duration_ms=1.0, queued_s=0.0)
            metrics.forget(f"w{number}")

    churn()
    tracemalloc.start()
    try:
        churn()
        assert tracemalloc.get_traced_memory()[0] < 10_000
    finally:
        tracemalloc.stop()


def test_applications_share_nothing(metrics: Metrics) -> None:
    metrics.request(200)
    assert ("skep_requests_total", "200") not in values(Metrics(workspaces_max=1))
    assert not [family.name for family in REGISTRY.collect() if family.name.startswith("skep_")]


def test_counting_a_run_costs_less_than_twenty_calls_of_nothing(metrics: Metrics) -> None:
    """0.2 µs where a call of nothing takes 0.03: the best of many tries, in units of the same machine's calls."""

    def nothing(_one: float, _two: float) -> None:
        pass

    def best(what: object) -> float:
        return min(timeit.repeat("what(1.5, 0.0)", globals={"what": what}, number=2000, repeat=30))

    assert best(metrics.tally("w").returned) < 20 * best(nothing)


ROW = re.compile(r"^\| `(skep_\w+)` \| (\w+) \| ([^|]*)\| ([^|]*) \|$", re.MULTILINE)


def test_the_page_on_metrics_has_every_series_and_no_other() -> None:
    documented = [
        series.Series(name, kind, doc, tuple(re.findall(r"`(\w+)`", labels)))
        for name, kind, labels, doc in ROW.findall(PAGE.read_text())
    ]
    assert documented == list(series.ALL)


def test_the_page_on_metrics_has_every_value_of_a_label() -> None:
    named = set(re.findall(r"`(\w+)`", PAGE.read_text()))
    for names in (Ended, StartKind, EndReason, WorkerState):
        assert set(get_args(names)) <= named
