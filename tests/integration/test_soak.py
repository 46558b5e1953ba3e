"""A short soak: ordinary functions side by side, each answered with exactly what the same code gives outside."""

import pytest

from bench.ordinary import difference, read_functions, soak
from sandbox.python.module_tables import DEFAULT_MODULES
from tests.skep import Skep

RUNS = 300


async def test_of_300_ordinary_runs_at_once_every_one_is_answered_as_expected(skep: Skep) -> None:
    done = await soak(skep.url, runs=RUNS)
    assert done.unexpected == []
    assert done.runs.total() == RUNS
    assert done.runs.keys() == read_functions().keys()


def test_the_soak_imports_every_default_module() -> None:
    imported = read_functions()["every_module"]["code"]
    assert [name for name in DEFAULT_MODULES if name not in imported] == []


@pytest.mark.parametrize(
    ("status", "text", "expected"),
    [
        (200, '{"result": [1, 2]}', (200, [1, 3])),
        (200, '{"result": 1}', (500, "ValueError: no")),
        (502, '{"error": "WorkerLost", "message": "gone"}', (200, 1)),
        (500, '{"message": "KeyError: 1"}', (500, "ValueError: no")),
        (200, "not JSON", (200, 1)),
        (200, "[]", (200, 1)),
    ],
)
def test_the_soak_hears_every_wrong_answer(status: int, text: str, expected: tuple[int, object]) -> None:
    assert difference(status, text, expected)
    assert not difference(200, '{"result": [1, null]}', (200, [1, None]))
