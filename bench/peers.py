"""The same function under functions-framework, in turns with Skep."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict
from functools import partial
from statistics import median
from typing import Final

from bench.errors import MeasureError
from bench.framework import PEERS, install, open_peer, peer_request
from bench.load import Load
from bench.options import Options
from bench.processes import OTHERS_MAX_PERCENT, watch_others
from bench.servers import Server, open_skep
from bench.stats import Summary, median_of
from bench.targets import Figure, Measured
from bench.throughput import ALONE, BUSY, run_round
from bench.wire import Connection
from bench.workspaces import GREETING, HELLO, deploy, run_request

SKEP: Final = "Skep"
Rounds = dict[tuple[str, int], list[Summary]]


def measure_peers(load: Load, options: Options) -> Measured:
    """Everybody is alive at the same time; one is asked after the other, each round beginning with the next."""
    packages = {peer.environment: install(peer) for peer in PEERS.values()}
    starts_ms = _time_starts(options)
    rounds: Rounds = {}
    shares: list[float] = []
    with ExitStack() as stack:
        servers = {side: stack.enter_context(open_side()) for side, open_side in _sides().items()}
        for number in range(options.peer_rounds):
            for connections in (ALONE, BUSY):
                for side in _turned(list(servers), number):
                    request = _request(side, servers[side].port)
                    with watch_others(shares):
                        summary = run_round(load, options, servers[side], request, connections)
                    rounds.setdefault((side, connections), []).append(summary)
    data: dict[str, object] = {"starts_ms": starts_ms, "packages": packages, "others_percent": shares}
    # Threads that contend for one interpreter lock are faster where they have one processor, and Skep is slower there.
    figures = _report(rounds, starts_ms, is_void=median(shares) > OTHERS_MAX_PERCENT)
    return Measured(
        figures,
        data
        | {
            f"{side}, {connections}": [asdict(summary) for summary in summaries]
            for (side, connections), summaries in rounds.items()
        },
    )


def _sides() -> dict[str, Callable[[], AbstractContextManager[Server]]]:
    return {SKEP: _open_skep, **{name: partial(open_peer, peer) for name, peer in PEERS.items()}}


def _turned(sides: list[str], number: int) -> list[str]:
    first = number % len(sides)
    return sides[first:] + sides[:first]


@contextmanager
def _open_skep() -> Iterator[Server]:
    with open_skep() as skep:
        with Connection(skep.port) as connection:
            deploy(connection, "bench", HELLO)
        yield skep


def _request(side: str, port: int) -> bytes:
    return run_request(port, "bench") if side == SKEP else peer_request(port)


def _time_starts(options: Options) -> dict[str, list[float]]:
    """Milliseconds from the start of the command to the first greeting; for Skep with the deploy in between."""
    times_ms: dict[str, list[float]] = {}
    for number in range(options.peer_starts):
        sides = _sides()
        for side in _turned(list(sides), number):
            started = time.perf_counter()
            with sides[side]() as server, Connection(server.port) as connection:
                answer = connection.exchange(_request(side, server.port))
                elapsed_ms = (time.perf_counter() - started) * 1e3
            if answer.status != 200 or not answer.body.startswith(GREETING):
                raise MeasureError(f"{side} answered {answer.status} {answer.body[:300]!r}")
            times_ms.setdefault(side, []).append(elapsed_ms)
    return times_ms


def _report(rounds: Rounds, starts_ms: dict[str, list[float]], *, is_void: bool) -> list[Figure]:
    figures: list[Figure] = []
    for peer in PEERS:
        ratio, detail = _compare(rounds, peer, BUSY, "per_second", "{:,.0f}/s")
        detail += (
            f"; processor time a request {median_of(rounds[SKEP, BUSY], 'server_cpu_us'):.0f} µs, "
            f"{median_of(rounds[peer, BUSY], 'server_cpu_us'):.0f} µs"
        )
        figures.append(Figure(f"throughput, functions-framework {peer}", ratio, "x peer", detail, is_void))
    for peer in PEERS:
        ratio, detail = _compare(rounds, peer, ALONE, "p50_ms", "{:.3f} ms")
        figures.append(Figure(f"p50 alone, functions-framework {peer}", ratio, "x peer", detail))
    for peer in PEERS:
        ours_ms, theirs_ms = median(starts_ms[SKEP]), median(starts_ms[peer])
        ratio = median(ours / theirs for ours, theirs in zip(starts_ms[SKEP], starts_ms[peer], strict=True))
        detail = f"Skep {ours_ms:.0f} ms, deploy included, peer {theirs_ms:.0f} ms"
        figures.append(Figure(f"start to first answer, functions-framework {peer}", ratio, "x peer", detail))
    return figures


def _compare(rounds: Rounds, peer: str, connections: int, name: str, form: str) -> tuple[float, str]:
    """The ratio is taken within each round, then the median of the rounds."""
    ours, theirs = rounds[SKEP, connections], rounds[peer, connections]
    ratio = median(getattr(o, name) / getattr(t, name) for o, t in zip(ours, theirs, strict=True))
    return ratio, f"Skep {form.format(median_of(ours, name))}, peer {form.format(median_of(theirs, name))}"
