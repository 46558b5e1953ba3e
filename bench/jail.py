"""What the jail costs: Skep as it ships beside Skep without it, in turns."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from statistics import median
from typing import Final

from bench.cold import WORKSPACES, time_cold_run
from bench.errors import MeasureError
from bench.load import Load
from bench.memory import read_workers_mib, run_once
from bench.options import Options
from bench.processes import find_workers, has_filter
from bench.servers import Server, open_skep
from bench.stats import Summary, median_of
from bench.targets import Figure, Measured
from bench.throughput import BUSY, run_round
from bench.wire import Connection
from bench.workspaces import HELLO_ONCE, deploy, run_request

JAILED, UNJAILED = "jailed", "unjailed"
SIDES: Final = {JAILED: None, UNJAILED: "bench.unjailed_zygote"}
"""Each with the zygote that it has; None is the product's own."""
UNIT: Final = "x unjailed"


def measure_jail(load: Load, options: Options) -> Measured:
    """Both are alive at the same time and asked in turns; who is not being asked is idle and costs nothing."""
    with _both({"FUNCTIONS_WORKERS_MAX_LRU": "1"}) as skeps:
        cold_ms = _time_cold_starts(skeps, options)
    with _both() as skeps:
        memory_mib = _read_memory(skeps, options)
        rounds = _load_in_turns(skeps, load, options)
    return _report(cold_ms, rounds, memory_mib)


@contextmanager
def _both(settings: dict[str, str] | None = None) -> Iterator[dict[str, Server]]:
    with ExitStack() as stack:
        yield {
            side: stack.enter_context(
                open_skep((settings or {}) | ({} if zygote is None else {"SANDBOX_LEVEL": "none"}), zygote=zygote)
            )
            for side, zygote in SIDES.items()
        }


def _time_cold_starts(skeps: dict[str, Server], options: Options) -> dict[str, list[list[float]]]:
    """As `bench.cold` does it, one cold start of the one, then one of the other."""
    times_ms: dict[str, list[list[float]]] = {side: [] for side in skeps}
    with ExitStack() as stack:
        connections = {side: stack.enter_context(Connection(skep.port)) for side, skep in skeps.items()}
        requests = {side: [run_request(skep.port, name) for name in WORKSPACES] for side, skep in skeps.items()}
        for connection in connections.values():
            for workspace in WORKSPACES:
                deploy(connection, workspace, HELLO_ONCE)
        for number in range(options.rounds * options.cold_starts):
            for side in _order(number):
                if number % options.cold_starts == 0:
                    times_ms[side].append([])
                times_ms[side][-1].append(time_cold_run(connections[side], requests[side][number % 2]))
    return times_ms


def _read_memory(skeps: dict[str, Server], options: Options) -> dict[str, list[float]]:
    """As `bench.memory` does it. Leaves the workspace `idle-0` behind, whose worker is then put under load."""
    for skep in skeps.values():
        with Connection(skep.port) as connection:
            for number in range(options.idle_workers):
                run_once(connection, f"idle-{number}")
    for side, skep in skeps.items():
        if has_filter(find_workers(skep.pid)[0]) != (side == JAILED):
            raise MeasureError(f"the workers that should be {side} are not")
    return {side: read_workers_mib(skep, at_least=options.idle_workers) for side, skep in skeps.items()}


def _load_in_turns(skeps: dict[str, Server], load: Load, options: Options) -> dict[str, list[Summary]]:
    rounds: dict[str, list[Summary]] = {side: [] for side in skeps}
    for number in range(options.rounds):
        for side in _order(number):
            skep = skeps[side]
            rounds[side].append(run_round(load, options, skep, run_request(skep.port, "idle-0"), BUSY))
    return rounds


def _order(number: int) -> tuple[str, str]:
    """Who goes first takes turns, too."""
    return (JAILED, UNJAILED) if number % 2 else (UNJAILED, JAILED)


def _report(
    cold_ms: dict[str, list[list[float]]], rounds: dict[str, list[Summary]], memory_mib: dict[str, list[float]]
) -> Measured:
    """Ratios are taken within each round, then the median of the rounds is reported; memory knows no rounds."""
    p50s_ms = {side: [median(values) for values in times] for side, times in cold_ms.items()}
    cold = _median_ratio(p50s_ms[JAILED], p50s_ms[UNJAILED])
    cold_detail = _absolutes("ms", {side: median(values) for side, values in p50s_ms.items()})
    rates = {side: [summary.per_second for summary in summaries] for side, summaries in rounds.items()}
    throughput = _median_ratio(rates[JAILED], rates[UNJAILED])
    throughput_detail = (
        f"{BUSY} connections; jailed {median(rates[JAILED]):,.0f}/s, unjailed {median(rates[UNJAILED]):,.0f}/s; "
        f"processor time a run {median_of(rounds[JAILED], 'server_cpu_us'):.0f} and "
        f"{median_of(rounds[UNJAILED], 'server_cpu_us'):.0f} µs"
    )
    medians_mib = {side: median(values) for side, values in memory_mib.items()}
    figures = [
        Figure("cold start, jailed", cold, UNIT, f"p50; {cold_detail}"),
        Figure("throughput, jailed", throughput, UNIT, throughput_detail),
        Figure(
            "private memory, jailed",
            medians_mib[JAILED] / medians_mib[UNJAILED],
            UNIT,
            f"median of {len(memory_mib[JAILED])} idle workers; {_absolutes('MiB', medians_mib)}",
        ),
    ]
    data: dict[str, object] = {
        "cold_ms": cold_ms,
        "rounds": {side: [asdict(summary) for summary in summaries] for side, summaries in rounds.items()},
        "workers_mib": memory_mib,
    }
    return Measured(figures, data)


def _median_ratio(jailed: list[float], unjailed: list[float]) -> float:
    return median(one / other for one, other in zip(jailed, unjailed, strict=True))


def _absolutes(unit: str, values: dict[str, float]) -> str:
    return ", ".join(f"{side} {value:.2f} {unit}" for side, value in values.items())
