"""Random histories: what the groups of the database tell is what lists of their runs would."""

import random
import sqlite3

import pytest

from service.database import run_groups, run_order, runs
from service.database.migrations import folder
from service.database.run_groups import Batch, Row
from tests.unit.run_rows import record_of_row

SIZES = (1, 2, 5, 30, 200, 1024)
STATUSES = (2, 2, 2, 3, 4, 5, 6)


class Model:
    """A database, and beside it what must be in it."""

    def __init__(self, seed: int) -> None:
        self.choices = random.Random(seed)
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.connection.executescript((folder() / "0006_runs.sql").read_text())
        self.rows: dict[str, list[Row]] = {"v": [], "w": []}
        self.next_id = self.choices.choice([0, 4090, 10**6])
        self.now_ms = 0

    def write(self) -> None:
        """A batch, sometimes twice, as after a commit that was said to have failed."""
        size = self.choices.choice(SIZES)
        ids = list(range(self.next_id, self.next_id + size))
        self.choices.shuffle(ids)
        self.next_id += size
        self.now_ms += 1
        batch, written = Batch(), [self.row(number) for number in ids]
        for row in written:
            batch.add(*row)
            self.rows[row[1]].append(row)
        for _ in range(self.choices.choice([1, 1, 2])):
            run_groups.insert(self.connection, batch)
        for row in written[:3]:
            assert batch.find(row[1], row[0]) == record_of_row(row)
        run_order.recount(self.connection)

    def row(self, number: int) -> Row:
        """One run."""
        choices = self.choices
        return (
            f"{number:032x}", choices.choice("vww"), f"f{choices.randrange(3)}", choices.choice(STATUSES), None, 'k["',
            1, self.now_ms, 0.0, False, choices.choice([None, b"", b"%d" % number]),
            choices.choice([None, None, b'["%d"]' % number]),
        )  # fmt: skip

    def delete(self) -> None:
        """Those beyond a number, or before a time."""
        name = self.choices.choice("vw")
        rows = self.rows[name]
        is_by_age = self.choices.random() < 0.5
        before_ms = self.choices.randrange(self.now_ms + 2) if is_by_age else 0
        beyond = 0 if is_by_age else self.choices.randrange(len(rows) + 3)
        gone = len([row for row in rows if row[7] < before_ms]) or min(beyond, len(rows))
        left, is_more = gone, True
        while is_more:
            went, is_more = run_order.delete_oldest(
                self.connection, name, before_ms=before_ms, keep=len(rows) - (0 if is_by_age else gone),
                limit=self.choices.choice([1, 3, 200]),
            )  # fmt: skip
            left -= went
        assert left == 0
        del rows[:gone]

    def check(self) -> None:
        """Everything that can be asked."""
        counts = {name: len(rows) for name, rows in self.rows.items() if rows}
        assert dict(runs.workspaces(self.connection, after="", limit=10)) == counts
        for name, rows in self.rows.items():
            function, limit = self.choices.choice([None, "f0"]), self.choices.choice([7, 50, 500])
            expected = [row[0] for row in reversed(rows) if function in {None, row[2]}]
            found: list[str] = []
            before = None
            while page := runs.page(self.connection, name, function=function, status=None, before=before, limit=limit):
                found += [summary.id for _, summary in page]
                before = page[-1][0]
            assert found == expected
            for row in self.choices.sample(rows, min(5, len(rows))):
                assert runs.find(self.connection, name, row[0]) == record_of_row(row)


@pytest.mark.parametrize("seed", range(30))
def test_a_history_is_what_a_list_of_its_runs_would_be(seed: int) -> None:
    model = Model(seed)
    for _ in range(12):
        model.choices.choice([model.write, model.write, model.delete])()
        model.check()
    model.connection.close()
