"""Cold starts over HTTP, against the start of a Python that does nothing."""

import os
import sys
import time
from pathlib import Path
from statistics import median
from typing import Final

from bench.errors import MeasureError
from bench.load import Load
from bench.options import Options
from bench.servers import open_skep
from bench.stats import percentile
from bench.targets import Figure, Measured
from bench.wire import Connection
from bench.workspaces import GREETING, HELLO_ONCE, deploy, run_request

WORKSPACES: Final = ("odd", "even")
DEPLOYS: Final = 20
# The interpreter itself: a shim or the search for a virtual environment in front of it would flatter the ratio.
PYTHON: Final = str(Path(sys.executable).resolve())


def measure_cold(_load: Load, options: Options) -> Measured:
    """Two workspaces share room for one worker, so that every run evicts the other's worker and starts its own.

    Their bundles are on disk from the deploy. Between two runs a Python is started, so that both are timed in turn.
    """
    cold_ms: list[list[float]] = []
    python_ms: list[list[float]] = []
    with open_skep({"FUNCTIONS_WORKERS_MAX_LRU": "1"}) as skep, Connection(skep.port) as connection:
        deploys_ms = [_time_deploy(connection, f"new-{number}") for number in range(DEPLOYS)]
        for workspace in WORKSPACES:
            deploy(connection, workspace, HELLO_ONCE)
        requests = [run_request(skep.port, workspace) for workspace in WORKSPACES]
        # The last workspace that was deployed has the worker, so the first one to run is cold.
        for number in range(options.rounds * options.cold_starts):
            if number % options.cold_starts == 0:
                cold_ms.append([])
                python_ms.append([])
            cold_ms[-1].append(time_cold_run(connection, requests[number % 2]))
            python_ms[-1].append(time_python())
    return _report(cold_ms, python_ms, deploys_ms)


def _time_deploy(connection: Connection, workspace: str) -> float:
    """Milliseconds from the definition to its acknowledgement: validated, compiled in a worker, on disk."""
    started = time.perf_counter()
    deploy(connection, workspace, HELLO_ONCE)
    return (time.perf_counter() - started) * 1e3


def time_cold_run(connection: Connection, request: bytes) -> float:
    """Milliseconds of one run. Raises: MeasureError if it was not cold."""
    started = time.perf_counter()
    answer = connection.exchange(request)
    elapsed_ms = (time.perf_counter() - started) * 1e3
    if answer.status != 200 or not answer.body.startswith(GREETING):
        raise MeasureError(f"not the answer of a cold start: {answer.status} {answer.body[:300]!r}")
    return elapsed_ms


def time_python() -> float:
    """Milliseconds from the start to the end of `python3 -I -S -c pass`, spawned with as little around it as can be."""
    started = time.perf_counter()
    pid = os.posix_spawn(PYTHON, [PYTHON, "-I", "-S", "-c", "pass"], {})
    _, status = os.waitpid(pid, 0)
    elapsed_ms = (time.perf_counter() - started) * 1e3
    if status != 0:
        raise MeasureError(f"python3 -I -S -c pass ended with {status}")
    return elapsed_ms


def _report(cold_ms: list[list[float]], python_ms: list[list[float]], deploys_ms: list[float]) -> Measured:
    p50s = [median(values) for values in cold_ms]
    floor_p50s = [median(values) for values in python_ms]
    ratio = median(p50 / floor for p50, floor in zip(p50s, floor_p50s, strict=True))
    everything = [value for values in cold_ms for value in values]
    detail = f"skep {median(p50s):.2f} ms, python3 -I -S -c pass {median(floor_p50s):.2f} ms"
    p99_detail = f"of {len(everything)} cold starts; p90 {percentile(everything, 90):.2f} ms"
    deploy_detail = f"of {len(deploys_ms)} new workspaces; largest {max(deploys_ms):.2f} ms"
    figures = [
        Figure("cold start, p50", ratio, "x python", detail),
        Figure("cold start, p99", percentile(everything, 99), "ms", p99_detail),
        Figure("first deploy, p50", median(deploys_ms), "ms", deploy_detail),
    ]
    return Measured(figures, {"cold_ms": cold_ms, "python_ms": python_ms, "deploys_ms": deploys_ms})
