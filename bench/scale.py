"""What a run costs when its workspace is one of many, all of them warm."""

from dataclasses import asdict
from statistics import median

from bench.errors import MeasureError
from bench.load import Job, Load
from bench.options import Options
from bench.processes import find_workers
from bench.servers import open_skep
from bench.stats import Summary, median_of, summarize
from bench.targets import Figure, Measured
from bench.wire import Connection
from bench.workspaces import GREETING, HELLO, deploy, run_request

ALONE, BUSY = 1, 32
Rounds = dict[tuple[int, int], list[Summary]]


def measure_scale(load: Load, options: Options) -> Measured:
    """One service; each round spreads its requests over the first 1, 10, 100, 500 workspaces, one count after another.

    Before the other workspaces exist, the first is measured by itself: the cost of idle neighbours shows there.
    """
    largest = max(options.workspace_counts)
    rounds: Rounds = {}
    with open_skep() as skep, Connection(skep.port) as connection:
        requests = [run_request(skep.port, f"many-{number}") for number in range(largest)]
        deploy(connection, "many-0", HELLO)
        by_itself = [_run_round(load, options, skep.port, requests[:1], ALONE) for _ in range(options.rounds)]
        for number in range(1, largest):
            deploy(connection, f"many-{number}", HELLO)
        # Every workspace runs once before anything is measured, so that all workers are there to be counted.
        _run_round(load, options, skep.port, requests, BUSY)
        workers = set(find_workers(skep.pid))
        for number in range(options.rounds):
            for count in options.workspace_counts if number % 2 else reversed(options.workspace_counts):
                for connections in (ALONE, BUSY):
                    summary = _run_round(load, options, skep.port, requests[:count], connections)
                    rounds.setdefault((count, connections), []).append(summary)
        gone = workers - set(find_workers(skep.pid))
        if len(workers) < largest or gone:
            raise MeasureError(f"not all runs were warm: {len(workers)} workers, {len(gone)} gone while measuring")
    return _report(by_itself, rounds, options)


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


def _report(by_itself: list[Summary], rounds: Rounds, options: Options) -> Measured:
    figures: list[Figure] = []
    for count in options.workspace_counts[1:]:
        for connections, name, label in ((ALONE, "p50_ms", "p50 alone"), (BUSY, "per_second", "throughput")):
            one, many = rounds[1, connections], rounds[count, connections]
            ratio = median(getattr(m, name) / getattr(o, name) for m, o in zip(many, one, strict=True))
            if connections == ALONE:
                detail = (
                    f"{median_of(many, 'p50_ms'):.3f} ms, with one {median_of(one, 'p50_ms'):.3f} ms; "
                    f"p99 {median_of(many, 'p99_ms'):.3f} ms, with one {median_of(one, 'p99_ms'):.3f} ms"
                )
            else:
                detail = f"{median_of(many, name):,.0f}/s, with one {median_of(one, name):,.0f}/s"
            figures.append(Figure(f"{label}, {count} workspaces", ratio, "x one", detail))
    neighbours = median_of(rounds[1, ALONE], "p50_ms") / median_of(by_itself, "p50_ms")
    detail = f"one workspace runs; {median_of(by_itself, 'p50_ms'):.3f} ms before the others were deployed"
    figures.append(Figure(f"p50 alone, {max(options.workspace_counts) - 1} idle neighbours", neighbours, "x", detail))
    data: dict[str, object] = {
        f"{count} workspaces, {connections}": [asdict(summary) for summary in summaries]
        for (count, connections), summaries in rounds.items()
    }
    return Measured(figures, data | {"1 workspace by itself, 1": [asdict(summary) for summary in by_itself]})
