"""More requests than a workspace can run: what is still done, how long it waits, how soon the others hear no."""

from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Final

from bench.errors import MeasureError
from bench.load import Job, Load
from bench.metrics import compare, read_outcomes
from bench.open_loop import Answered, OpenLoop, Stream, open_open_loop
from bench.options import Options
from bench.processes import OTHERS_MAX_PERCENT, watch_others
from bench.servers import open_floor, open_skep
from bench.stats import percentile, summarize
from bench.targets import Figure, Measured
from bench.wire import Connection
from bench.workspaces import GREETING, PARAMETERS, WAIT, burn, deploy, floor_request, run_request

FACTORS: Final = (1, 2, 10)
CALLERS: Final = 16
"""Of the closed loop that finds the capacity: enough that a run is always waiting, too few to be refused."""
CONNECTIONS: Final = 512
"""Of the open loop: more than a queue has places, so that refusals always have some."""
RETURNED: Final = "200"
FULL: Final = "429 TooManyRequests"
EXPIRED: Final = "503 QueueTimeout"
UNAVAILABLE: Final = "503 ServiceUnavailable"
REFUSALS: Final = frozenset(kind[4:] for kind in (FULL, EXPIRED, UNAVAILABLE))
LATE_MAX: Final = 0.01
"""When this client was late with more of the requests than this share, the rate was not what it should have been."""


@dataclass(frozen=True, slots=True)
class Function:
    """One kind of work, in a pool that can do little of it at a time."""

    name: str
    code: str
    concurrency: int
    queue: int
    timeout_ms: int

    @property
    def document(self) -> object:
        """Its workspace, as it is deployed."""
        pool = {"concurrency": self.concurrency, "queue": self.queue, "timeout": self.timeout_ms}
        return {"functions": {"hello": {"code": self.code, "parameters": PARAMETERS}}, "pool": pool}


FUNCTIONS: Final = (
    # The queue is short for its timeout: what does not fit is refused at once.
    Function("waiting", WAIT, concurrency=4, queue=64, timeout_ms=2000),
    # The queue is long for its timeout: at 2 x what waits too long is refused, at 10 x it overflows as well.
    Function("burning", burn(3), concurrency=1, queue=256, timeout_ms=250),
)


@dataclass(slots=True)
class Findings:
    """What the rounds of one function at one factor found; one entry a round, but for the sums."""

    goodput: list[float] = field(default_factory=list)
    accepted_ms: list[float] = field(default_factory=list)
    """p99 of the runs, above what the queue may take and what a run takes alone."""
    refused_ms: list[float] = field(default_factory=list)
    """p99 of the refusals that did not wait, above the floor's."""
    expired_ms: list[float] = field(default_factory=list)
    """p99 of those that waited too long, above how long they may."""
    accepted_p99_ms: list[float] = field(default_factory=list)
    floor_p99_ms: list[float] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)
    requests: int = 0
    late: int = 0
    held: int = 0
    latest_ms: float = 0.0


@dataclass(slots=True)
class Bench:
    """What a round needs, and what the rounds have found."""

    load: Load
    open_loop: OpenLoop
    options: Options
    skep: Connection
    floor_port: int
    findings: dict[tuple[str, int], Findings] = field(default_factory=dict)
    peaks: dict[str, list[float]] = field(default_factory=dict)
    shares: list[float] = field(default_factory=list)
    are_metrics_there: bool = False


def measure_overload(load: Load, options: Options) -> Measured:
    """Each round finds the capacity of a workspace with a closed loop, then sends 1, 2, 10 times as much."""
    with open_floor() as floor, open_skep() as skep, open_open_loop() as open_loop, Connection(skep.port) as connection:
        bench = Bench(load, open_loop, options, connection, floor.port)
        for function in FUNCTIONS:
            deploy(connection, function.name, function.document)
        for number in range(options.overload_rounds):
            for function in FUNCTIONS if number % 2 else reversed(FUNCTIONS):
                with watch_others(bench.shares):
                    _measure_function(bench, function)
    return _report(bench)


def _measure_function(bench: Bench, function: Function) -> None:
    peak = _run_closed(bench, function, CALLERS)[0]
    alone_ms = _run_closed(bench, function, 1)[1]
    bench.peaks.setdefault(function.name, []).append(peak)
    for factor in FACTORS:
        found = bench.findings.setdefault((function.name, factor), Findings())
        floor = _run_open(bench, peak * factor, None)
        before = read_outcomes(bench.skep)
        answered = _run_open(bench, peak * factor, function)
        bench.are_metrics_there = compare(bench.skep, before, answered.counts())
        _add(found, answered, floor, function, peak=peak, alone_ms=alone_ms)


def _run_closed(bench: Bench, function: Function, callers: int) -> tuple[float, float]:
    """Runs a second, and the p50 in ms."""
    summary = summarize(
        bench.load.run(
            Job(
                port=bench.skep.port,
                requests=(run_request(bench.skep.port, function.name),),
                expected=GREETING,
                connections=callers,
                seconds=bench.options.seconds * (2 if callers > 1 else 1),
            )
        )
    )
    return summary.per_second, summary.p50_ms


def _run_open(bench: Bench, per_second: float, function: Function | None) -> Answered:
    """Of the function, or of the floor, which gets half as long: it has no queue to fill."""
    is_floor = function is None
    port = bench.floor_port if is_floor else bench.skep.port
    return bench.open_loop.run(
        Stream(
            port=port,
            request=floor_request(port) if function is None else run_request(port, function.name),
            expected=GREETING,
            refusals=frozenset() if is_floor else REFUSALS,
            per_second=per_second,
            seconds=bench.options.seconds * (2 if is_floor else 4),
            connections=CONNECTIONS,
        )
    )


def _add(  # noqa: PLR0913 (both sides of a round, and what they are compared with)
    found: Findings, answered: Answered, floor: Answered, function: Function, *, peak: float, alone_ms: float
) -> None:
    """Goodput counts from when the queue has filled, a quarter of the time, to when the last request was sent."""
    end_s = answered.due_s[-1]
    found.goodput.append(answered.rate_of(RETURNED, start_s=end_s / 4, end_s=end_s) / peak)
    accepted_p99_ms = _p99_ms(answered.latencies_of(RETURNED))
    floor_p99_ms = _p99_ms(list(floor.latencies_s))
    found.accepted_p99_ms.append(accepted_p99_ms)
    found.floor_p99_ms.append(floor_p99_ms)
    found.accepted_ms.append(accepted_p99_ms - function.timeout_ms - alone_ms)
    refused = answered.latencies_of(FULL, UNAVAILABLE)
    if refused:
        found.refused_ms.append(_p99_ms(refused) - floor_p99_ms)
    expired = answered.latencies_of(EXPIRED)
    if expired:
        found.expired_ms.append(_p99_ms(expired) - function.timeout_ms)
    for kind, count in answered.counts().items():
        found.statuses[kind] = found.statuses.get(kind, 0) + count
    found.requests += len(answered.kinds)
    found.late += answered.late
    found.held += answered.held
    found.latest_ms = max(found.latest_ms, answered.latest_s * 1e3)


def _p99_ms(latencies_s: list[float]) -> float:
    """Raises: MeasureError if there is nothing to take it of."""
    if not latencies_s:
        raise MeasureError("under overload not one run was accepted")
    return percentile(latencies_s, 99) * 1e3


def _report(bench: Bench) -> Measured:
    figures: list[Figure] = []
    is_busy = median(bench.shares) > OTHERS_MAX_PERCENT
    for function in FUNCTIONS:
        for factor in FACTORS[1:]:
            found = bench.findings[function.name, factor]
            figures += _figures(f"{function.name}, {factor} x", found, bench, function, is_busy=is_busy)
    told = "compared, outcome by outcome" if bench.are_metrics_there else "not compared: this service has no /metrics"
    requests = sum(found.requests for found in bench.findings.values())
    detail = f"{requests:,} requests; the service's metrics: {told}"
    figures.append(Figure("overload: answers to a request", 1.0, "each", detail))
    data: dict[str, object] = {f"{name}, {factor} x": asdict(found) for (name, factor), found in bench.findings.items()}
    return Measured(figures, data | {"peaks": bench.peaks, "others_percent": bench.shares})


def _figures(name: str, found: Findings, bench: Bench, function: Function, *, is_busy: bool) -> list[Figure]:
    """Raises: MeasureError if there was no overload, or it was not answered."""
    if not found.refused_ms and not found.expired_ms:
        raise MeasureError(f"{name}: nothing was refused, so the limits of the pool have no effect")
    is_void = is_busy or found.late > found.requests * LATE_MAX
    told = ", ".join(f"{count:,} x {kind}" for kind, count in found.statuses.items())
    normal = median(bench.findings[function.name, 1].goodput)
    detail = (
        f"peak {median(bench.peaks[function.name]):,.0f}/s, at 1 x {normal:.2f}; {told}; "
        f"{found.late:,} late, at most by {found.latest_ms:.0f} ms, {found.held:,} held"
    )
    figures = [Figure(f"goodput, {name}", median(found.goodput), "x peak", detail, is_void)]
    detail = f"p99 {median(found.accepted_p99_ms):.0f} ms, queue timeout {function.timeout_ms} ms and a run alone"
    value = median(found.accepted_ms)
    figures.append(Figure(f"accepted p99 beyond the queue timeout, {name}", value, "ms", detail, is_void))
    if found.refused_ms:
        detail = f"floor at the same rate {median(found.floor_p99_ms):.2f} ms"
        value = median(found.refused_ms)
        figures.append(Figure(f"refusal p99 above the floor, {name}", value, "ms", detail, is_void))
    if found.expired_ms:
        value, detail = median(found.expired_ms), f"503 after {function.timeout_ms} ms in the queue"
        figures.append(Figure(f"expiry p99 beyond the queue timeout, {name}", value, "ms", detail, is_void))
    return figures
