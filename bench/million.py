"""`python -m bench.million`: a history of a million runs, looked at over HTTP, then deleted beside runs.

The records lie in one workspace, or in 500. Pages of 50 and 500 with every filter, first and deep; single records; then
Skep starts again with a small `QUOTA_HISTORY_ROWS`, and runs are timed while it deletes.
"""

import argparse
import base64
import itertools
import random
import secrets
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from bench.servers import SkepServer, open_skep
from bench.wire import Connection, build_request
from bench.workspaces import HELLO, deploy, run_request
from service.database import migrations, run_groups
from service.database.run_groups import Batch
from service.usecases.history import BATCH_MAX

FUNCTIONS: Final = 10
FILTERS: Final = ("", "&function=function_3", "&status=failed", "&function=function_3&status=failed", "&function=none")
KEPT_ROWS: Final = 100
EXPIRED: Final = 'skep_history_records_total{outcome="expired"} '


def main() -> int:
    """Fill, look, delete."""
    parser = argparse.ArgumentParser(prog="python -m bench.million", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--workspaces", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60, help="of runs while it deletes, at the most")
    arguments = parser.parse_args()
    with TemporaryDirectory(prefix="skep-bench-") as folder:
        path = Path(folder, "filled.db")
        ids = _fill(path, arguments.rows, arguments.workspaces)
        with _skep(path, rows_max=arguments.rows) as skep, Connection(skep.port) as connection:
            _look(connection, arguments.workspaces, arguments.rows, ids)
            alone = _time_runs(connection, lambda: False, seconds=5)
            _print("runs, nothing to delete", alone)
        with _skep(path, rows_max=KEPT_ROWS) as skep, Connection(skep.port) as connection:
            _delete(connection, path, arguments.rows - KEPT_ROWS * arguments.workspaces, arguments.seconds)
    return 0


@contextmanager
def _skep(path: Path, *, rows_max: int) -> Iterator[SkepServer]:
    with open_skep({"DATABASE_PATH": str(path), "QUOTA_HISTORY_ROWS": str(rows_max)}) as skep:
        with Connection(skep.port) as connection:
            deploy(connection, "bench", HELLO)
        yield skep


def _fill(path: Path, rows: int, workspaces: int) -> list[tuple[str, str]]:
    """Returns some of the runs: workspace and id."""
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("auto_vacuum = INCREMENTAL", "journal_mode = WAL", "synchronous = NORMAL", "cache_size = -16384"):
        connection.execute(f"PRAGMA {pragma}")
    migrations.migrate(connection, migrations.load(migrations.folder()))
    choices, prefix, now_ms = random.Random(1), secrets.token_hex(11), int(time.time() * 1000)
    some: list[tuple[str, str]] = []
    spent_s, name, run_id = 0.0, "", ""
    for begin in range(0, rows, BATCH_MAX):
        batch = Batch()
        for number in range(begin, min(begin + BATCH_MAX, rows)):
            status = 2 if choices.random() < 0.95 else choices.choice((3, 4, 5))
            at_ms = now_ms - rows + number
            run_id = f"{prefix}{number:010x}"
            name = f"workspace-{choices.randrange(workspaces)}"
            function = f"function_{choices.randrange(FUNCTIONS)}"
            result = b'{"greeting":"Hello world","number":%d}' % number
            batch.add(run_id, name, function, status, 1, "bench", at_ms, at_ms, 0.4, False, result, None)
        some.append((name, run_id))
        began = time.thread_time()
        run_groups.insert(connection, batch)
        spent_s += time.thread_time() - began
    connection.close()
    size_mb = path.stat().st_size / 1e6
    each_us = spent_s / rows * 1e6
    print(f"{rows:,} records in {workspaces} workspaces: {each_us:.1f} µs of processor each, {size_mb:,.0f} MB")
    return some


def _look(connection: Connection, workspaces: int, rows: int, ids: list[tuple[str, str]]) -> None:
    choices = random.Random(2)
    deep = base64.urlsafe_b64encode(str(rows // BATCH_MAX // 2 << run_groups.PLACE_BITS).encode()).decode().rstrip("=")
    worst_ms = 0.0
    for limit, filters, cursor in itertools.product((50, 500), FILTERS, ("", f"&cursor={deep}")):
        times_ms = []
        for _ in range(100):
            path = f"/v2/functions/workspace-{choices.randrange(workspaces)}/runs?limit={limit}{filters}{cursor}"
            times_ms.append(_time(connection, build_request(port=connection.port, method="GET", path=path)))
        worst_ms = max(worst_ms, _print(f"page of {limit} {filters[1:]}{' deep' if cursor else ''}", times_ms))
    times_ms = []
    for name, run_id in choices.sample(ids, min(1000, len(ids))):
        path = f"/v2/functions/{name}/runs/{run_id}"
        times_ms.append(_time(connection, build_request(port=connection.port, method="GET", path=path)))
    worst_ms = max(worst_ms, _print("one by its id", times_ms))
    print(f"worst p99: {worst_ms:.1f} ms")


def _delete(connection: Connection, path: Path, rows: int, seconds: float) -> None:
    size_mb = path.stat().st_size / 1e6
    began = time.monotonic()
    gone = 0

    def is_done() -> bool:
        nonlocal gone
        page = connection.ask("GET", "/metrics").body.decode()
        gone = int(float(page.split(EXPIRED, 1)[1].split("\n", 1)[0]))
        return gone >= rows

    times_ms = _time_runs(connection, is_done, seconds=seconds)
    _print("runs while it deletes", times_ms)
    took_s = time.monotonic() - began
    wal_mb = Path(f"{path}-wal").stat().st_size / 1e6
    print(
        f"{gone:,} of {rows:,} deleted in {took_s:.0f} s; file {size_mb:,.0f} MB before and "
        f"{path.stat().st_size / 1e6:,.0f} MB now, its log {wal_mb:.0f} MB"
    )


def _time_runs(connection: Connection, is_done: Callable[[], bool], *, seconds: float) -> list[float]:
    request = run_request(connection.port, "bench")
    times_ms: list[float] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        times_ms += [_time(connection, request) for _ in range(1000)]
        if is_done():
            break
    return times_ms


def _time(connection: Connection, request: bytes) -> float:
    began = time.perf_counter()
    answer = connection.exchange(request)
    took_ms = (time.perf_counter() - began) * 1000
    assert answer.status == 200, answer.body
    return took_ms


def _print(name: str, times_ms: list[float]) -> float:
    ordered = sorted(times_ms)
    p50, p99 = (ordered[int((len(ordered) - 1) * part)] for part in (0.5, 0.99))
    print(f"{name}: p50 {p50:.2f}, p99 {p99:.2f}, longest {ordered[-1]:.2f} ms", flush=True)
    return p99


if __name__ == "__main__":
    sys.exit(main())
