"""What 500 callers of one workspace do to the single caller of another that runs the same function."""

from dataclasses import asdict, replace
from statistics import median
from typing import Final

from bench.errors import MeasureError
from bench.load import Job, Load, open_load
from bench.metrics import compare, read_outcomes
from bench.options import Options
from bench.processes import OTHERS_MAX_PERCENT, watch_others
from bench.servers import open_floor, open_skep
from bench.stats import Summary, median_of, summarize
from bench.targets import Figure, Measured
from bench.wire import Connection
from bench.workspaces import GREETING, PARAMETERS, WAIT, burn, deploy, floor_request, run_request

CALLERS: Final = 500
# Places for all of them: those who are refused in a closed loop would ask again at once, which is another measure.
POOL: Final = {"queue": 1000}
WAITING, INSTANT, BURNING, FLOOR = "waiting", "instant", "burning", "floor"
FUNCTIONS: Final = {WAITING: WAIT, INSTANT: 'return "Hello " + name', BURNING: burn(3)}
WARMUP_S: Final = 0.15
RAMP_S: Final = 0.75
"""Long enough for all callers to be connected and under way before anything is measured beside them."""
ROOM_S: Final = 0.5
"""By so much they outlast it, the time to connect and report left aside."""
Rounds = dict[str, list[tuple[Summary, Summary]]]
"""By function: the single caller alone, and beside the others."""


def measure_fairness(load: Load, options: Options) -> Measured:
    """Each round, the single caller alone and then beside the others, who are a process of their own.

    The floor is asked as well: where a single loop answers everybody, so many callers take their time without any
    unfairness.
    """
    rounds: Rounds = {}
    shares: list[float] = []
    rates: dict[str, list[float]] = {}
    with open_floor() as floor, open_skep() as skep, open_load() as crowd, Connection(skep.port) as service:
        for name, code in FUNCTIONS.items():
            document = {"functions": {"hello": {"code": code, "parameters": PARAMETERS}}, "pool": POOL}
            for workspace in (f"{name}-many", f"{name}-one"):
                deploy(service, workspace, document)
        for _ in range(options.fairness_rounds):
            for name in (*FUNCTIONS, FLOOR):
                port = floor.port if name == FLOOR else skep.port
                asks = [
                    floor_request(port) if name == FLOOR else run_request(port, f"{name}-{side}")
                    for side in ("many", "one")
                ]
                alone = _job(port, asks[1], callers=1, seconds=options.seconds, warmup_s=WARMUP_S)
                before = None if name == FLOOR else read_outcomes(service)
                many = _job(port, asks[0], callers=CALLERS, seconds=RAMP_S + options.seconds + ROOM_S, warmup_s=0)
                with watch_others(shares):
                    by_itself = load.run(alone)
                    crowd.start(many)
                    beside = load.run(replace(alone, warmup_s=RAMP_S))
                was_early = crowd.has_finished()
                crowded = crowd.finish(many)
                if was_early:
                    raise MeasureError(f"{name}: the {CALLERS} callers were done before what was to be measured")
                answers = sum(len(seen.latencies_s) + seen.warmup_requests for seen in (by_itself, beside, crowded))
                compare(service, before, {"200": answers})
                rates.setdefault(name, []).append(summarize(crowded).per_second)
                rounds.setdefault(name, []).append((summarize(by_itself), summarize(beside)))
    data: dict[str, object] = {
        f"{name}, {kind}": [asdict(pair[index]) for pair in pairs]
        for name, pairs in rounds.items()
        for index, kind in enumerate(("alone", "beside"))
    }
    figures = _report(rounds, rates, is_void=median(shares) > OTHERS_MAX_PERCENT)
    return Measured(figures, data | {"rates_of_the_many": rates, "others_percent": shares})


def _job(port: int, request: bytes, *, callers: int, seconds: float, warmup_s: float) -> Job:
    return Job(
        port=port,
        requests=(request,),
        expected=GREETING,
        connections=callers,
        seconds=seconds,
        warmup_s=warmup_s,
    )


def _report(rounds: Rounds, rates: dict[str, list[float]], *, is_void: bool) -> list[Figure]:
    figures: list[Figure] = []
    for name in (WAITING, INSTANT):
        alone, beside = _sides(rounds, name)
        ratio = median(b.p50_ms / a.p50_ms for a, b in zip(alone, beside, strict=True))
        detail = (
            f"{median_of(beside, 'p50_ms'):.2f} ms, alone {median_of(alone, 'p50_ms'):.2f} ms; p99 "
            f"{median_of(beside, 'p99_ms'):.2f} ms; the {CALLERS} {median(rates[name]):,.0f}/s"
        )
        figures.append(Figure(f"p50 beside {CALLERS} callers, {name}", ratio, "x alone", detail, is_void))
    alone, beside = _sides(rounds, FLOOR)
    instant = _sides(rounds, INSTANT)[1]
    ratio = median(i.p50_ms / f.p50_ms for i, f in zip(instant, beside, strict=True))
    detail = (
        f"the floor's {median_of(beside, 'p50_ms'):.2f} ms, alone {median_of(alone, 'p50_ms'):.2f} ms; "
        f"the {CALLERS} {median(rates[FLOOR]):,.0f}/s"
    )
    figures.append(Figure(f"the same, {INSTANT}, against the floor", ratio, "x floor", detail, is_void))
    alone, beside = _sides(rounds, BURNING)
    longest_ms = max(summary.max_ms for summary in beside)
    detail = (
        f"p50 {median_of(beside, 'p50_ms'):.1f} ms, alone {median_of(alone, 'p50_ms'):.1f} ms; "
        f"the {CALLERS} {median(rates[BURNING]):,.0f}/s"
    )
    return [*figures, Figure(f"longest wait beside {CALLERS} callers, {BURNING}", longest_ms, "ms", detail, is_void)]


def _sides(rounds: Rounds, name: str) -> tuple[list[Summary], list[Summary]]:
    return [alone for alone, _ in rounds[name]], [beside for _, beside in rounds[name]]
