"""From numbers to the families of samples that prometheus-client writes out."""

from collections.abc import Iterable, Iterator, Mapping
from typing import get_args

from prometheus_client.core import Metric
from prometheus_client.samples import Sample

from service.metrics import series
from service.metrics.observation import HistoryState, Live, Observation, Usage, Used, WorkerState
from service.metrics.series import Series
from service.metrics.tally import RETURNED, Histogram, Tally, Totals

_NOT_LIVE = Live(0, 0)
_NOT_SAMPLED = Used(0, 0.0)


def families(
    totals: Totals, tallies: Mapping[str, Tally], observed: Observation, usage: Usage, history: HistoryState
) -> Iterator[Metric]:
    """Every series of `series.ALL`, in its order."""
    yield _labelled(series.RUNS, [(RETURNED, totals.returned), *totals.ended.items()])
    yield _labelled(series.REQUESTS, ((str(status), count) for status, count in sorted(totals.requests.items())))
    yield _single(series.RUNNING, observed.runs_running)
    yield _single(series.WAITING, observed.runs_waiting)
    yield _histogram(series.RUN_SECONDS, totals.run_ms, per_second=1000)
    yield _histogram(series.QUEUE_SECONDS, totals.queued_s, zeros=totals.not_queued)
    yield _labelled(series.WORKERS, ((state, observed.workers.get(state, 0)) for state in get_args(WorkerState)))
    yield _labelled(series.STARTS, totals.starts.items())
    yield _histogram(series.START_SECONDS, totals.start_s)
    yield _labelled(series.ENDS, totals.ends.items())
    yield _labelled(series.MEMORY, [("sum", usage.memory_sum_bytes), ("max", usage.memory_max_bytes)])
    yield _single(series.CPU, usage.cpu_seconds)
    yield _single(series.ZYGOTE_STARTS, totals.zygote_starts)
    yield _single(series.FORK_FAILURES, totals.fork_failures)
    yield _single(series.CACHE, observed.cache_bytes)
    yield _single(series.CACHE_OPERATIONS, totals.cache_operations)
    yield _single(series.DATABASE_UP, int(history.is_up))
    yield _labelled(
        series.HISTORY, [("written", history.written), ("dropped", history.dropped), ("expired", history.expired)]
    )
    yield _single(series.HISTORY_WAITING, history.waiting)
    yield _family(series.WORKSPACE_RUNS, _runs(tallies))
    live = {name: observed.workspaces.get(name, _NOT_LIVE) for name in tallies}
    yield _labelled(series.WORKSPACE_WAITING, ((name, one.waiting) for name, one in live.items()))
    yield _labelled(series.WORKSPACE_WORKERS, ((name, one.workers) for name, one in live.items()))
    used = {name: usage.workspaces.get(name, _NOT_SAMPLED) for name in tallies}
    yield _labelled(series.WORKSPACE_MEMORY, ((name, one.memory_bytes) for name, one in used.items()))
    yield _labelled(series.WORKSPACE_CPU, ((name, one.cpu_seconds) for name, one in used.items()))


def _runs(tallies: Mapping[str, Tally]) -> Iterator[Sample]:
    name = series.WORKSPACE_RUNS.name
    for workspace, tally in tallies.items():
        yield Sample(name, {"workspace": workspace, "outcome": RETURNED}, tally.returned_count)
        for outcome, count in tally.rest.items():
            yield Sample(name, {"workspace": workspace, "outcome": outcome}, count)


def _single(one: Series, value: float) -> Metric:
    return _family(one, [Sample(one.name, {}, value)])


def _labelled(one: Series, values: Iterable[tuple[str, float]]) -> Metric:
    (label,) = one.labels
    return _family(one, [Sample(one.name, {label: by}, value) for by, value in values])


def _histogram(one: Series, histogram: Histogram, *, per_second: float = 1, zeros: int = 0) -> Metric:
    """`zeros`: values that were not worth an entry each; the first bound is 0 then."""
    bounds = [*(repr(bound / per_second) for bound in histogram.bounds), "+Inf"]
    counts = [count + zeros for count in histogram.cumulated()]
    samples = [Sample(f"{one.name}_bucket", {"le": le}, count) for le, count in zip(bounds, counts, strict=True)]
    samples.append(Sample(f"{one.name}_count", {}, counts[-1]))
    samples.append(Sample(f"{one.name}_sum", {}, histogram.sum / per_second))
    return _family(one, samples)


def _family(one: Series, samples: Iterable[Sample]) -> Metric:
    family = Metric(one.name.removesuffix("_total"), one.doc, one.kind)
    family.samples.extend(samples)
    return family
