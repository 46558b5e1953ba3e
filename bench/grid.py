"""What a run costs as callers and workspaces become more: 1, 32, 256 connections over 1, 50, 500 warm workspaces."""

from dataclasses import asdict
from statistics import median
from typing import Final

from bench.errors import MeasureError
from bench.load import Job, Load
from bench.options import Options
from bench.processes import find_workers
from bench.servers import open_floor, open_skep
from bench.stats import Summary, median_of, summarize
from bench.targets import Figure, Measured
from bench.throughput import ALONE, BUSY
from bench.wire import Connection
from bench.workspaces import GREETING, HELLO, deploy, floor_request, run_request

CROWD: Final = 256
CONNECTIONS: Final = {ALONE: "1 connection", BUSY: f"{BUSY} connections", CROWD: f"{CROWD} connections"}
FLOOR: Final = 0
"""In the place of a number of workspaces."""
Rounds = dict[tuple[int, int], list[Summary]]
"""By number of workspaces and of connections."""


def measure_grid(load: Load, options: Options) -> Measured:
    """Each round spreads its requests over the first 1, 50, 500 workspaces of one service, one count after another.

    One connection is asked in every round and more of them in every other, because the target is about the one.
    Before the other workspaces exist, the first is measured by itself: the cost of idle neighbours shows there.
    """
    largest = max(options.workspace_counts)
    rounds: Rounds = {}
    with open_floor() as floor, open_skep() as skep, Connection(skep.port) as connection:
        requests = [run_request(skep.port, f"many-{number}") for number in range(largest)]
        deploy(connection, "many-0", HELLO)
        by_itself = [_run_round(load, options, skep.port, requests[:1], ALONE) for _ in range(options.rounds)]
        for number in range(1, largest):
            deploy(connection, f"many-{number}", HELLO)
        # Every workspace runs once before anything is measured, so that all workers are there to be counted.
        _run_round(load, options, skep.port, requests, BUSY)
        workers = set(find_workers(skep.pid))
        sides = {FLOOR: (floor.port, [floor_request(floor.port)])} | {
            count: (skep.port, requests[:count]) for count in options.workspace_counts
        }
        for number in range(options.rounds):
            for count in sides if number % 2 else reversed(sides):
                for connections in (ALONE,) if number % 4 > 1 else CONNECTIONS:
                    port, asked = sides[count]
                    summary = _run_round(load, options, port, asked, connections)
                    rounds.setdefault((count, connections), []).append(summary)
        gone = workers - set(find_workers(skep.pid))
        if len(workers) < largest or gone:
            raise MeasureError(f"not all runs were warm: {len(workers)} workers, {len(gone)} gone while measuring")
    data: dict[str, object] = {
        f"{f'{count} workspaces' if count else 'floor'}, {connections}": [asdict(summary) for summary in summaries]
        for (count, connections), summaries in rounds.items()
    }
    figures = [*_compare_with_floor(rounds, options), *_compare_with_one(rounds, by_itself, options)]
    return Measured(figures, data | {"1 workspace by itself, 1": [asdict(summary) for summary in by_itself]})


def _run_round(load: Load, options: Options, port: int, requests: list[bytes], connections: int) -> Summary:
    return summarize(
        load.run(
            Job(
                port=port,
                requests=tuple(requests),
                expected=GREETING,
                connections=connections,
                seconds=options.seconds / 2,
                warmup_requests=len(requests),
            )
        )
    )


def _compare_with_floor(rounds: Rounds, options: Options) -> list[Figure]:
    """Throughput of every cell, its latencies beside it."""
    figures: list[Figure] = []
    for connections, label in CONNECTIONS.items():
        floor = rounds[FLOOR, connections]
        for count in options.workspace_counts:
            skep = rounds[count, connections]
            detail = (
                f"{median_of(skep, 'per_second'):,.0f}/s, floor {median_of(floor, 'per_second'):,.0f}/s; "
                f"p50 {_pair(skep, floor, 'p50_ms')}; p99 {_pair(skep, floor, 'p99_ms')}"
            )
            name = f"grid: throughput, {label}, {count} {'workspace' if count == 1 else 'workspaces'}"
            figures.append(Figure(name, _ratio(skep, floor, "per_second"), "x floor", detail))
    return figures


def _compare_with_one(rounds: Rounds, by_itself: list[Summary], options: Options) -> list[Figure]:
    """What many workspaces cost one caller, and what it costs one workspace that others are there."""
    figures: list[Figure] = []
    one = rounds[1, ALONE]
    for count in options.workspace_counts[1:]:
        many = rounds[count, ALONE]
        detail = (
            f"{median_of(many, 'p50_ms'):.3f} ms, with one {median_of(one, 'p50_ms'):.3f} ms; "
            f"p99 {median_of(many, 'p99_ms'):.3f} ms, with one {median_of(one, 'p99_ms'):.3f} ms"
        )
        figures.append(Figure(f"p50 alone, {count} workspaces", _ratio(many, one, "p50_ms"), "x one", detail))
    neighbours = median_of(one, "p50_ms") / median_of(by_itself, "p50_ms")
    detail = f"one workspace runs; {median_of(by_itself, 'p50_ms'):.3f} ms before the others were deployed"
    figures.append(Figure(f"p50 alone, {max(options.workspace_counts) - 1} idle neighbours", neighbours, "x", detail))
    return figures


def _ratio(some: list[Summary], others: list[Summary], name: str) -> float:
    """Taken within each round, then the median of the rounds."""
    return median(float(getattr(s, name)) / float(getattr(o, name)) for s, o in zip(some, others, strict=True))


def _pair(skep: list[Summary], floor: list[Summary], name: str) -> str:
    return f"{median_of(skep, name):.2f} ms, {_ratio(skep, floor, name):.2f} x floor"
