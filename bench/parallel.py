"""A second worker for a workspace: what it adds where the processor is what lacks, and what sharing the cache costs."""

from dataclasses import asdict
from statistics import median
from typing import Any, Final

import orjson

from bench.errors import MeasureError
from bench.load import Load
from bench.options import Options
from bench.processes import OTHERS_MAX_PERCENT, find_workers, watch_others
from bench.servers import Server, open_skep
from bench.stats import Summary, median_of
from bench.targets import Figure, Measured
from bench.throughput import run_round
from bench.wire import Connection
from bench.workspaces import PARAMETERS, burn, deploy, run_request

CEILS: Final = (1, 2)
CALLERS: Final = 8
INCREMENTS: Final = 1000
_COUNT: Final = f"""\
import time
began = time.perf_counter()
for _ in range({INCREMENTS}):
    count = cache.increment("count")
return {{"us": (time.perf_counter() - began) / {INCREMENTS} * 1e6, "count": count}}
"""


def measure_parallel(load: Load, options: Options) -> Measured:
    """A function that burns about 5 ms, one run at a time in each worker, with one worker and with two, in turns."""
    rounds: dict[int, list[Summary]] = {ceil: [] for ceil in CEILS}
    shares: list[float] = []
    with open_skep() as skep:
        with Connection(skep.port) as connection:
            _deploy_both(connection, burn(5))
        for ceil in CEILS:
            _run(load, options, skep, ceil)
        _check_workers(skep)
        for number in range(options.parallel_rounds):
            for ceil in CEILS if number % 2 else reversed(CEILS):
                with watch_others(shares):
                    summary = _run(load, options, skep, ceil)
                rounds[ceil].append(summary)
        _check_workers(skep)
    one, two = (rounds[ceil] for ceil in CEILS)
    ratio = median(t.per_second / o.per_second for o, t in zip(one, two, strict=True))
    detail = (
        f"{median_of(two, 'per_second'):,.0f}/s, with one worker {median_of(one, 'per_second'):,.0f}/s; p50 "
        f"{median_of(two, 'p50_ms'):.1f} and {median_of(one, 'p50_ms'):.1f} ms; client and service share the processors"
    )
    is_void = median(shares) > OTHERS_MAX_PERCENT
    figures = [Figure("throughput of a burning function, ceil 2", ratio, "x ceil 1", detail, is_void)]
    data: dict[str, object] = {f"ceil {ceil}": [asdict(summary) for summary in rounds[ceil]] for ceil in CEILS}
    return Measured(figures, data | {"others_percent": shares})


def measure_cache(_load: Load, options: Options) -> Measured:
    """One `cache.increment` after the other: a dict of the worker's own with one worker, the service's with two."""
    times_us: dict[int, list[float]] = {ceil: [] for ceil in CEILS}
    with open_skep() as skep, Connection(skep.port) as connection:
        _deploy_both(connection, _COUNT)
        for number in range(1, options.parallel_rounds + 1):
            for ceil in CEILS if number % 2 else reversed(CEILS):
                path = f"/v2/functions/{_workspace(ceil)}/run/hello"
                result: dict[str, Any] = orjson.loads(connection.ask("POST", path, {}).body)["result"]
                if result["count"] != number * INCREMENTS:
                    raise MeasureError(f"ceil {ceil}: {result['count']} after {number * INCREMENTS} increments")
                times_us[ceil].append(result["us"])
    one, two = (times_us[ceil] for ceil in CEILS)
    detail = f"with ceil 1, where it is a dict, {median(one):.2f} µs"
    figures = [Figure("one cache.increment, ceil 2", median(two), "µs", detail)]
    return Measured(figures, {f"ceil {ceil}: times_us": times_us[ceil] for ceil in CEILS})


def _workspace(ceil: int) -> str:
    return f"ceil-{ceil}"


def _deploy_both(connection: Connection, code: str) -> None:
    """Each with as many workers as it may have, from the beginning."""
    for ceil in CEILS:
        pool = {"floor": ceil, "cruise": ceil, "ceil": ceil, "concurrency": 1}
        function = {"code": code, "parameters": PARAMETERS}
        deploy(connection, _workspace(ceil), {"functions": {"hello": function}, "pool": pool})


def _run(load: Load, options: Options, skep: Server, ceil: int) -> Summary:
    return run_round(load, options, skep, run_request(skep.port, _workspace(ceil)), CALLERS)


def _check_workers(skep: Server) -> None:
    """Raises: MeasureError unless there are as many as the pools ask for."""
    workers = len(find_workers(skep.pid))
    if workers != sum(CEILS):
        raise MeasureError(f"there are {workers} workers where the pools of both workspaces ask for {sum(CEILS)}")
