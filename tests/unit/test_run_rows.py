"""Rows of the history come back from the database as they were given, whatever is missing or empty in them."""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.database import run_groups, run_order, runs
from service.database.migrations import folder
from service.database.run_groups import Batch, Row
from service.domain.record import STATUSES
from tests.unit.run_rows import record_of_row

ROWS: list[Row] = [
    ("0" * 32, "w", "f", 2, None, "", 1, 2, 0.5, False, b'"\xc3\xa9"', None),
    ("f" * 32, "w", "", 3, 2**40, "a key", 1, 2, 5.0, True, None, b"[]"),
    (f"{7:032x}", "w", "f\u00e9", 5, 1, "\u00e9", 1, 2, None, False, b"", b'[{"message":"\\u0000"}]'),
    (f"{8:032x}", "v", "123", 6, 1, "1e3", 1, 2, 1e-9, False, None, None),
    (f"{9:032x}", "w", "f", 2, 3, "", 5, 9, 1.5, False, b'"\xf0\x9f\x90\x9d"', b'["a","b"]'),
    (f"{6:032x}", "w", "f", 2, None, "", 1, 2, 0.5, False, b"[[],{}]", None),
]


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    one = sqlite3.connect(":memory:", isolation_level=None)
    one.executescript((folder() / "0006_runs.sql").read_text())
    yield one
    one.close()


def write(connection: sqlite3.Connection, rows: list[Row]) -> None:
    batch = Batch()
    for row in rows:
        batch.add(*row)
    run_groups.insert(connection, batch)


def ids(connection: sqlite3.Connection, workspace: str, before: int | None = None, limit: int = 1000) -> list[str]:
    found = runs.page(connection, workspace, function=None, status=None, before=before, limit=limit)
    return [summary.id for _, summary in found]


def runs_in_batches(connection: sqlite3.Connection, sizes: list[int]) -> list[str]:
    """Runs of two workspaces, three functions, two statuses, a batch each ms. Returns the first's ids."""
    number, mine = 0, []
    for ended_ms, size in enumerate(sizes, 1):
        rows: list[Row] = []
        for _ in range(size):
            number += 1
            workspace = "w" if number % 7 else "v"
            body = b"%d" % number
            end = 2 if number % 5 else 3
            rows.append((
                f"{number:032x}", workspace, f"f{number % 3}", end, 1, "", 1, ended_ms, 0.0, False, body, None,
            ))  # fmt: skip
            if workspace == "w":
                mine.append(rows[-1][0])
        write(connection, rows)
    return mine


def test_what_is_written_together_is_read_as_it_was_given(connection: sqlite3.Connection) -> None:
    write(connection, ROWS)
    for row in ROWS:
        found = runs.find(connection, row[1], row[0])
        assert found == record_of_row(row)
        assert found is not None
        assert STATUSES[row[3]] == found.status
        assert (found.result_json if row[3] == 2 else found.error_json, found.logs_json) == (row[10], row[11] or b"[]")
        assert runs.find(connection, "u", row[0]) is None
    assert ids(connection, "w") == [row[0] for row in reversed(ROWS) if row[1] == "w"]
    assert ids(connection, "v") == [ROWS[3][0]]
    assert runs.find(connection, "w", f"{5:032x}") is None


def test_a_batch_is_written_once_however_often_that_is_tried(connection: sqlite3.Connection) -> None:
    for _ in range(2):
        write(connection, ROWS)
    run_order.recount(connection)
    assert runs.workspaces(connection, after="", limit=10) == [("v", 1), ("w", 5)]
    assert len(ids(connection, "w")) == 5


@pytest.mark.parametrize("limit", [1, 2, 7, 100])
def test_pages_follow_one_another_through_batches_of_every_size(connection: sqlite3.Connection, limit: int) -> None:
    mine = runs_in_batches(connection, [1, 2, 40, 1, 1, 300, 3, 90])
    for function in (None, "f1"):
        for status in (None, "failed"):
            expected = [
                run_id
                for run_id in reversed(mine)
                if (function is None or int(run_id, 16) % 3 == 1) and (status is None or int(run_id, 16) % 5 == 0)
            ]
            found: list[str] = []
            before = None
            while page := runs.page(
                connection, "w", function=function, status=status, before=before, limit=limit
            ):  # fmt: skip
                assert len(page) <= limit
                found += [summary.id for _, summary in page]
                before = page[-1][0]
            assert found == expected
    assert ids(connection, "w", before=2**63 + 5) == mine[::-1]


@pytest.mark.parametrize("beyond", [1, 5, 38, 39, 200, 373, 374, 375])
@pytest.mark.parametrize("limit", [3, 200])
def test_the_oldest_leave_one_by_one(connection: sqlite3.Connection, beyond: int, limit: int) -> None:
    mine = runs_in_batches(connection, [1, 2, 40, 1, 1, 300, 3, 90])
    others = ids(connection, "v")
    gone, is_more = 0, True
    while is_more:
        went, is_more = run_order.delete_oldest(connection, "w", before_ms=0, keep=len(mine) - beyond, limit=limit)
        gone += went
    assert gone == min(beyond, len(mine))
    assert ids(connection, "w") == mine[beyond:][::-1]
    assert ids(connection, "v") == others
    counts = dict(runs.workspaces(connection, after="", limit=10))
    assert counts.get("w", 0) == max(0, len(mine) - beyond)
    for run_id in mine[beyond:]:
        found = runs.find(connection, "w", run_id)
        assert found is not None
        assert (found.result_json or found.error_json) == b"%d" % int(run_id, 16)
    run_order.recount(connection)
    assert dict(runs.workspaces(connection, after="", limit=10)) == counts


def test_two_services_that_clean_up_leave_what_one_would(tmp_path: Path) -> None:
    path = tmp_path / "skep.db"
    first = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    first.executescript("PRAGMA journal_mode = WAL;" + (folder() / "0006_runs.sql").read_text())
    mine = runs_in_batches(first, [300, 90, 300])

    def clean_up() -> None:
        own = sqlite3.connect(path, isolation_level=None)
        is_more = True
        while is_more:
            _, is_more = run_order.delete_oldest(own, "w", before_ms=0, keep=100, limit=1)
        own.close()

    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(clean_up) for _ in range(4)]:
            done.result()
    assert ids(first, "w") == mine[-100:][::-1]
    for run_id in mine[-100:]:
        found = runs.find(first, "w", run_id)
        assert found is not None
        assert (found.result_json or found.error_json) == b"%d" % int(run_id, 16)
    first.close()


def test_runs_without_results_leave_one_by_one_too(connection: sqlite3.Connection) -> None:
    write(connection, [(f"{number:032x}", "w", "f", 5, 1, "", 1, 2, None, False, None, None) for number in range(3)])
    assert run_order.delete_oldest(connection, "w", before_ms=0, keep=2, limit=200) == (1, False)
    assert ids(connection, "w") == [f"{2:032x}", f"{1:032x}"]
    assert runs.find(connection, "w", f"{1:032x}") is not None


def test_batches_that_are_too_old_leave_whole(connection: sqlite3.Connection) -> None:
    mine = runs_in_batches(connection, [10, 10, 10])
    assert not runs.has_older(connection, "w", before_ms=1)
    assert runs.has_older(connection, "w", before_ms=2)
    run_order.delete_oldest(connection, "w", before_ms=3, keep=30, limit=200)
    assert ids(connection, "w") == [run_id for run_id in reversed(mine) if int(run_id, 16) > 20]
