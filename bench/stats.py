"""What a round of load comes down to."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from bench.load import Round

BLOCK: Final = 500


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(int(rank), 1) - 1]


@dataclass(frozen=True, slots=True)
class Summary:
    """One round. Latencies are in milliseconds, processor time in microseconds of user and system time a request."""

    requests: int
    per_second: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float
    client_cpu_us: float
    server_cpu_us: float | None = None


def summarize(measured: Round, *, server_cpu_s: float | None = None) -> Summary:
    """A round as figures; `server_cpu_s` is what the server spent on it, warm-up included."""
    latencies = sorted(measured.latencies_s)
    count = len(latencies)
    return Summary(
        requests=count,
        per_second=count / measured.elapsed_s,
        p50_ms=percentile(latencies, 50) * 1e3,
        p90_ms=percentile(latencies, 90) * 1e3,
        p99_ms=percentile(latencies, 99) * 1e3,
        max_ms=latencies[-1] * 1e3,
        client_cpu_us=measured.client_cpu_s / count * 1e6,
        server_cpu_us=None if server_cpu_s is None else server_cpu_s / (count + measured.warmup_requests) * 1e6,
    )


def median_of(rounds: Sequence[Summary], name: str) -> float:
    """The median of one figure over the rounds."""
    return median(float(getattr(summary, name)) for summary in rounds)


def p99s_ms(measured: Round) -> list[float]:
    """The 99th percentile of each `BLOCK` answers in a row.

    The median of many of them says what is usual at the slow end; one p99 of everything would be that of the moment in
    which the machine was disturbed. A rest is left out, unless it is all there is.
    """
    latencies = measured.latencies_s
    starts = range(0, max(len(latencies) - BLOCK, 0) + 1, BLOCK)
    return [percentile(latencies[start : start + BLOCK], 99) * 1e3 for start in starts]
