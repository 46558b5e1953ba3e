"""Quotas as values: what an override may say, what is too large; and places for workspaces."""

import asyncio
import math
from pathlib import Path
from typing import Any

import pytest

from service.database.changes import Changes
from service.database.database import Database
from service.database.quotas import QuotaTable
from service.domain.quotas import OwnLimits, Quotas, Size, check_override, narrowed, size_of
from service.errors import InvalidRequest, Problem, WorkspacesFull
from service.storage.workspaces import Volume
from service.usecases.creations import Creations


@pytest.mark.parametrize(("most", "own", "least"), [(0, 0, 0), (5, 0, 5), (0, 3, 3), (5, 3, 3), (3, 5, 3)])
def test_none_is_wider_than_any(most: int, own: int, least: int) -> None:
    assert narrowed(most, own) == least


@pytest.mark.parametrize(
    ("document", "problems"),
    [
        ({}, []),
        ({"runs_per_minute": 0, "history_rows": 10**12}, []),
        ({"runs": 1, "runs_burst": True}, [("runs", "is no quota"), ("runs_burst", "not a boolean")]),
        ({"functions_max": -1}, [("functions_max", "must be from 0")]),
        ({"functions_max": 2.0}, []),
        ({"functions_max": 1.5}, [("functions_max", "must be a whole number")]),
        ({"functions_max": 1e300}, [("functions_max", "must be from 0")]),
        ({"functions_max": math.inf}, [("functions_max", "no finite number")]),
        ({"functions_max": math.nan}, [("functions_max", "no finite number")]),
        ({"functions_max": None}, [("functions_max", "not null")]),
        ({"code_max_bytes": 10**12 + 1}, [("code_max_bytes", "must be from 0")]),
        ({"history_days": 36_501}, [("history_days", "to 36500")]),
        ([], [("", "must be an object, not an array")]),
    ],
)
def test_what_an_override_may_say(document: Any, problems: list[tuple[str, str]]) -> None:
    if not problems:
        assert check_override(document) == document
        return
    with pytest.raises(InvalidRequest) as refused:
        check_override(document)
    assert [problem.path for problem in refused.value.problems] == [path for path, _ in problems]
    for problem, (_, words) in zip(refused.value.problems, problems, strict=True):
        assert words in problem.message


def test_a_size_counts_functions_and_the_bytes_of_their_code() -> None:
    assert size_of({"functions": {"a": {"code": "return 1"}, "b": {"code": "ü"}}}) == Size(2, 10)


@pytest.mark.parametrize(
    ("size", "before", "problems"),
    [
        (Size(3, 100), None, []),
        (Size(4, 100), None, ["has 4 functions; the quota is 3"]),
        (Size(4, 101), Size(3, 5), ["has 4 functions; the quota is 3", "has 101 bytes of code; the quota is 100"]),
        (Size(5, 900), Size(5, 900), []),
        (Size(4, 800), Size(5, 900), []),
        (Size(6, 800), Size(5, 900), ["has 6 functions; the quota is 3"]),
    ],
)
def test_what_is_too_large_may_stay_and_shrink_but_not_grow(
    size: Size, before: Size | None, problems: list[str]
) -> None:
    found = Quotas(functions_max=3, code_max_bytes=100).problems(size, before)
    assert found == [Problem("functions", message) for message in problems]
    assert Quotas().problems(size, before) == []


def test_limits_of_a_workspace_are_a_part_of_the_quotas() -> None:
    assert set(OwnLimits.__slots__) <= set(Quotas.__slots__)


@pytest.fixture
async def empty_volume(tmp_path: Path) -> Any:
    volume = Volume(dirpath=tmp_path / "functions", document_max_bytes=1000)
    await volume.open()
    yield volume
    await volume.close()


def put(tmp_path: Path, *names: str) -> None:
    for name in names:
        folder = tmp_path / "functions" / name
        folder.mkdir()
        (folder / "workspace.yaml").write_text("functions: {}\n")


async def test_the_last_place_is_given_once_however_many_ask(tmp_path: Path, empty_volume: Volume) -> None:
    put(tmp_path, "a", "b")
    creations, created = Creations(empty_volume, 5), []

    async def create(name: str) -> None:
        async with creations.room_for(name):
            await asyncio.sleep(0)
            put(tmp_path, name)
            created.append(name)

    answers = await asyncio.gather(*(create(f"n{number}") for number in range(32)), return_exceptions=True)
    assert len(created) == 3
    assert [type(answer) for answer in answers if answer is not None] == [WorkspacesFull] * 29
    creations.deleted(created[0])
    await create("again")
    with pytest.raises(WorkspacesFull, match="There are 5 workspaces"):
        await create("more")


async def test_a_creation_that_fails_takes_no_place(tmp_path: Path, empty_volume: Volume) -> None:
    creations = Creations(empty_volume, 1)
    with pytest.raises(ZeroDivisionError):
        async with creations.room_for("a"):
            raise ZeroDivisionError
    async with creations.room_for("b"):
        pass


async def test_any_number_needs_no_look_at_the_volume() -> None:
    nothing: Any = None
    async with Creations(nothing, 0).room_for("a"):
        pass


def test_no_limit_on_the_history_is_a_number_all_the_same(tmp_path: Path) -> None:
    database = Database(tmp_path / "skep.db")
    table = QuotaTable(database, Changes(database), Quotas(history_days=3))
    assert table.retention_of("w") == (3, 10**12)
