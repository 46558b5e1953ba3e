"""Rows of the history come back from the database as they were given, whatever is missing or empty in them."""

import sqlite3

from service.database import runs
from service.database.migrations import folder

ROWS: list[runs.Row] = [
    (b"\x00" * 16, "w", "f", 2, None, "", 1, 2, 0.5, False, b'"\xc3\xa9"', None),
    (b"\xff" * 16, "w", "", 3, 2**40, "a key", 1, 2, 5.0, True, None, b"[]"),
    (b"0123456789abcdef", "w", "f\u00e9", 5, 1, "\u00e9", 1, 2, None, False, b"", b'[{"message":"\\u0000"}]'),
    (b"fedcba9876543210", "v", "123", 6, 1, "1e3", 1, 2, 1e-9, False, None, None),
]


def test_what_is_written_together_is_read_as_it_was_given() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript((folder() / "0006_runs.sql").read_text())
    runs.insert(connection, ROWS)
    runs.insert(connection, ROWS[:1])  # once more, as after a try that failed at its end
    columns = "id, workspace, function, status, revision, key, queued_ms, finished_ms, duration_ms, is_truncated"
    found = connection.execute(f"SELECT {columns}, answer, logs FROM runs ORDER BY number").fetchall()
    assert found == ROWS
    connection.close()
