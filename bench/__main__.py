"""`python -m bench`: measure, print a table, write `bench/results/<UTC time>.json`.

Exit status 0 when everything that was asked for was measured, whether its target was met or not; 1 otherwise.
"""

import argparse
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Final, TypeVar

from bench.cold import measure_cold
from bench.compiling import measure_compiling
from bench.errors import MeasureError
from bench.fairness import measure_fairness
from bench.fetch import measure_fetch
from bench.grid import measure_grid
from bench.history import measure_history
from bench.jail import measure_jail
from bench.kernels import measure_kernels
from bench.load import Load, open_load
from bench.memory import measure_memory
from bench.neighbours import measure_neighbours
from bench.options import Options
from bench.overload import measure_overload
from bench.parallel import measure_cache, measure_parallel
from bench.peers import measure_peers
from bench.targets import Figure, Measured
from bench.throughput import measure_throughput

RESULTS: Final = Path(__file__).parent / "results"
MEASURES: Final[dict[str, Callable[[Load, Options], Measured]]] = {
    "throughput": measure_throughput,
    "cold": measure_cold,
    "compiling": measure_compiling,
    "memory": measure_memory,
    "grid": measure_grid,
    "jail": measure_jail,
    "neighbours": measure_neighbours,
    "fetch": measure_fetch,
    "kernels": measure_kernels,
    "peers": measure_peers,
    "overload": measure_overload,
    "fairness": measure_fairness,
    "parallel": measure_parallel,
    "cache": measure_cache,
    "history": measure_history,
}
Number = TypeVar("Number", int, float)
MAX_ROUNDS: Final = 100
MAX_SECONDS: Final = 60.0


def main() -> int:
    """Measure what the command line asks for."""
    arguments = _parse_arguments()
    quick: bool = arguments.quick
    rounds: int = arguments.rounds or (3 if quick else 20)
    options = Options(
        rounds=rounds,
        seconds=arguments.seconds or (0.3 if quick else 0.5),
        workspace_counts=(1, 10, 50) if quick else (1, 50, 500),
        cold_starts=10,
        idle_workers=10 if quick else 50,
        attack_rounds=1 if quick else 3,
        fetches=480 if quick else 1600,
        peer_rounds=(rounds + 1) // 2,
        peer_starts=1 if quick else 3,
        overload_rounds=1 if quick else 3,
        fairness_rounds=1 if quick else 4,
        parallel_rounds=2 if quick else 10,
    )
    # So that servers and load are ended when somebody ends the benchmark with a signal.
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGHUP, _leave)
    started = datetime.now(UTC)
    found: dict[str, Measured] = {}
    failures: dict[str, str] = {}
    with open_load() as load:
        for name in arguments.only:
            began = time.monotonic()
            print(f"{name} …", end="", flush=True)
            try:
                found[name] = MEASURES[name](load, options)
            except MeasureError as error:
                failures[name] = str(error)
            print(f" {'failed after ' if name in failures else ''}{time.monotonic() - began:.0f} s", flush=True)
    figures = [figure for measured in found.values() for figure in measured.figures]
    _print_table(figures)
    for name, reason in failures.items():
        print(f"{name} could not be measured: {reason}")
    path = _write_results(started, options, found, failures)
    print(f"{_summarize(figures, failures)} Details: {path}")
    return 1 if failures else 0


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Skep's figures as ratios against a floor.")
    parser.add_argument("--quick", action="store_true", help="a look, not a measurement: fewer and shorter rounds")
    parser.add_argument(
        "--only",
        type=_measure_names,
        default=list(MEASURES),
        metavar=",".join(MEASURES),
        help="only these measures",
    )
    parser.add_argument("--rounds", type=_bounded(int, MAX_ROUNDS), help="rounds of each measure")
    parser.add_argument("--seconds", type=_bounded(float, MAX_SECONDS), help="length of one round of load")
    return parser.parse_args()


def _measure_names(text: str) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in MEASURES]
    if unknown:
        raise argparse.ArgumentTypeError(f"no measure is called {unknown[0]!r}; there are {', '.join(MEASURES)}")
    return names


def _bounded(kind: Callable[[str], Number], largest: Number) -> Callable[[str], Number]:
    def parse(text: str) -> Number:
        value = kind(text)
        if not 0 < value <= largest:
            raise argparse.ArgumentTypeError(f"must be above 0 and at most {largest}")
        return value

    return parse


def _leave(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _print_table(figures: list[Figure]) -> None:
    rows = [
        (figure.name, f"{figure.value:.2f} {figure.unit}", str(figure.target or ""), figure.verdict, figure.detail)
        for figure in figures
    ]
    heads = ("figure", "value", "target", "", "from")
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads) - 1)]
    print()
    for row in (heads, *rows):
        cells = [text.ljust(width) for text, width in zip(row, widths, strict=False)]
        print("  ".join((*cells, row[-1])).rstrip())
    print()


def _summarize(figures: list[Figure], failures: dict[str, str]) -> str:
    verdicts = [figure.verdict for figure in figures if figure.verdict]
    missed = [figure.name for figure in figures if figure.verdict == "miss"]
    void = [figure.name for figure in figures if figure.verdict == "void"]
    summary = f"{verdicts.count('PASS')} of {len(verdicts)} targets met."
    if missed:
        summary += f" Missed: {'; '.join(missed)}."
    if void:
        summary += f" Void, because the machine was busy with other things: {'; '.join(void)}."
    if failures:
        summary += f" Not measured: {', '.join(failures)}."
    return summary


def _write_results(started: datetime, options: Options, found: dict[str, Measured], failures: dict[str, str]) -> Path:
    document = {
        "started": started.isoformat(),
        "machine": {
            "processors": os.cpu_count(),
            "architecture": platform.machine(),
            "kernel": platform.release(),
            "python": platform.python_version(),
            "packages": {name: version(name) for name in ("skep", "aiohttp", "uvloop", "orjson")},
        },
        "options": asdict(options),
        "figures": [
            {
                "name": figure.name,
                "value": figure.value,
                "unit": figure.unit,
                "target": str(figure.target or ""),
                "verdict": figure.verdict,
                "detail": figure.detail,
            }
            for measured in found.values()
            for figure in measured.figures
        ],
        "measures": {name: measured.data for name, measured in found.items()},
        "failures": failures,
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{started:%Y%m%dT%H%M%SZ}.json"
    path.write_text(json.dumps(document, indent=1) + "\n")
    return path


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
