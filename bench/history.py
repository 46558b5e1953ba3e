"""What the history costs: Skep as it ships beside Skep that keeps none, in turns."""

from contextlib import ExitStack
from dataclasses import asdict
from statistics import median
from typing import Final

from bench.load import Load
from bench.options import Options
from bench.servers import open_skep
from bench.stats import Summary, median_of
from bench.targets import Figure, Measured
from bench.throughput import BUSY, run_round
from bench.wire import Connection
from bench.workspaces import HELLO, deploy, run_request

SIDES: Final[dict[str, dict[str, str]]] = {"with": {}, "without": {"HISTORY": "no"}}


def measure_history(load: Load, options: Options) -> Measured:
    """Both are alive at the same time and asked in turns. Who is not being asked may still delete what it kept."""
    rounds: dict[str, list[Summary]] = {side: [] for side in SIDES}
    with ExitStack() as stack:
        skeps = {side: stack.enter_context(open_skep(settings)) for side, settings in SIDES.items()}
        for skep in skeps.values():
            with Connection(skep.port) as connection:
                deploy(connection, "bench", HELLO)
        for number in range(options.rounds):
            for side in SIDES if number % 2 else reversed(SIDES):
                skep = skeps[side]
                rounds[side].append(run_round(load, options, skep, run_request(skep.port, "bench"), BUSY))
    ratio = median(w.per_second / o.per_second for w, o in zip(rounds["with"], rounds["without"], strict=True))
    detail = (
        f"{BUSY} connections; with {median_of(rounds['with'], 'per_second'):,.0f}/s, "
        f"without {median_of(rounds['without'], 'per_second'):,.0f}/s; processor time a run "
        f"{median_of(rounds['with'], 'server_cpu_us'):.0f} and {median_of(rounds['without'], 'server_cpu_us'):.0f} µs; "
        f"p99 {median_of(rounds['with'], 'p99_ms'):.1f} and {median_of(rounds['without'], 'p99_ms'):.1f} ms"
    )
    data: dict[str, object] = {side: [asdict(summary) for summary in summaries] for side, summaries in rounds.items()}
    return Measured([Figure("throughput, history", ratio, "x without", detail)], data)
