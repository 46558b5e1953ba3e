"""What the service counted, from `GET /metrics`, compared with what its caller counted."""

import time
from typing import Final

from bench.counted import RUNS, parse
from bench.errors import MeasureError
from bench.wire import Connection, build_request

OUTCOMES: Final = {
    "200": "returned",
    "429 TooManyRequests": "queue_full",
    "502 WorkerLost": "worker_lost",
    "503 QueueTimeout": "queue_timeout",
    "503 ServiceUnavailable": "unavailable",
    "504 FunctionTimeout": "timed_out",
}
"""What a run with this answer is counted as."""
_SETTLING_S: Final = 1.0
"""A run may be counted a moment after it was answered."""


def read_outcomes(connection: Connection) -> dict[str, int] | None:
    """Runs so far by outcome, or None if this service has no metrics. Raises: MeasureError."""
    answer = connection.exchange(build_request(port=connection.port, method="GET", path="/metrics"))
    if answer.status == 404:
        return None
    if answer.status != 200:
        raise MeasureError(f"GET /metrics was answered with {answer.status}: {answer.body[:300]!r}")
    return {outcome: int(count) for (name, outcome), count in parse(answer.body.decode()).items() if name == RUNS}


def compare(connection: Connection, before: dict[str, int] | None, kinds: dict[str, int]) -> bool:
    """Whether there was something to compare. Raises: MeasureError if the service counted anything else."""
    if before is None:
        return False
    counted = {OUTCOMES[kind]: count for kind, count in kinds.items()}
    told: dict[str, int] = {}
    give_up_at = time.monotonic() + _SETTLING_S
    while told != counted:
        if time.monotonic() > give_up_at:
            raise MeasureError(f"the client counted {counted}, the metrics of the service {told}")
        after = read_outcomes(connection) or {}
        grown = {outcome: count - before.get(outcome, 0) for outcome, count in after.items()}
        told = {outcome: count for outcome, count in grown.items() if count}
    return True
