"""Warm throughput and latency of one function, against the floor."""

from dataclasses import asdict
from statistics import median

from bench.load import Job, Load
from bench.options import Options
from bench.processes import tree_cpu_s
from bench.servers import Server, open_floor, open_skep
from bench.stats import Summary, median_of, summarize
from bench.targets import Figure, Measured
from bench.wire import Connection
from bench.workspaces import GREETING, HELLO, deploy, floor_request, run_request

ALONE, BUSY = 1, 32


def measure_throughput(load: Load, options: Options) -> Measured:
    """Floor and Skep take turns within each round, and take turns at going first."""
    rounds: dict[tuple[str, int], list[Summary]] = {}
    with open_floor() as floor, open_skep() as skep:
        with Connection(skep.port) as connection:
            deploy(connection, "bench", HELLO)
        sides = {"floor": (floor, floor_request(floor.port)), "skep": (skep, run_request(skep.port, "bench"))}
        for number in range(options.rounds):
            for connections in (ALONE, BUSY):
                for side in ("floor", "skep") if number % 2 else ("skep", "floor"):
                    server, request = sides[side]
                    summary = run_round(load, options, server, request, connections)
                    rounds.setdefault((side, connections), []).append(summary)
    return _report(rounds)


def run_round(load: Load, options: Options, server: Server, request: bytes, connections: int) -> Summary:
    """One round of greetings, with what the server spent on it."""
    cpu_s = tree_cpu_s(server.pid)
    measured = load.run(
        Job(
            port=server.port,
            requests=(request,),
            expected=GREETING,
            connections=connections,
            seconds=options.seconds,
        )
    )
    return summarize(measured, server_cpu_s=tree_cpu_s(server.pid) - cpu_s)


def _report(rounds: dict[tuple[str, int], list[Summary]]) -> Measured:
    """Ratios and differences are taken within each round, then the median of the rounds is reported."""
    figures: list[Figure] = []
    for connections, label in ((BUSY, "32 connections"), (ALONE, "1 connection")):
        floor, skep = rounds["floor", connections], rounds["skep", connections]
        ratio = median(s.per_second / f.per_second for s, f in zip(skep, floor, strict=True))
        rates = f"skep {median_of(skep, 'per_second'):,.0f}/s, floor {median_of(floor, 'per_second'):,.0f}/s"
        figures.append(Figure(f"throughput, {label}", ratio, "x floor", rates))
    above_ms = median(s.p50_ms - f.p50_ms for s, f in zip(rounds["skep", ALONE], rounds["floor", ALONE], strict=True))
    figures.append(Figure("p50 alone, above the floor", above_ms, "ms", _latencies(rounds, ALONE, "p50_ms")))
    for connections, label in ((ALONE, "alone"), (BUSY, "32 connections")):
        p99_ms = median_of(rounds["skep", connections], "p99_ms")
        figures.append(Figure(f"p99, {label}", p99_ms, "ms", _latencies(rounds, connections, "p99_ms")))
    cpu_us = median_of(rounds["skep", BUSY], "server_cpu_us")
    detail = (
        f"service and worker; floor {median_of(rounds['floor', BUSY], 'server_cpu_us'):.0f}, "
        f"client {median_of(rounds['floor', BUSY], 'client_cpu_us'):.0f}"
    )
    figures.append(Figure("processor time a run, 32 connections", cpu_us, "µs", detail))
    data: dict[str, object] = {
        f"{side}, {connections}": [asdict(summary) for summary in summaries]
        for (side, connections), summaries in rounds.items()
    }
    return Measured(figures, data)


def _latencies(rounds: dict[tuple[str, int], list[Summary]], connections: int, name: str) -> str:
    skep, floor = (median_of(rounds[side, connections], name) for side in ("skep", "floor"))
    return f"skep {skep:.3f} ms, floor {floor:.3f} ms"
