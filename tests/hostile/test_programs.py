"""Every hostile program gets nowhere, and nobody else notices that it ran."""

import re
from pathlib import Path

import pytest

from tests.hostile.programs import BadProgram, Program, all_programs, read
from tests.hostile.rig import Rig, run_program

PROGRAMS = all_programs()
LEAST = 60


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
async def test_a_hostile_program_gets_nowhere(rig: Rig, program: Program) -> None:
    await run_program(rig, program)


def test_there_are_programs_enough_of_both_kinds() -> None:
    natives = [program for program in PROGRAMS if program.is_native]
    assert len(PROGRAMS) >= LEAST
    assert len(natives) >= LEAST // 2
    assert len(PROGRAMS) - len(natives) >= LEAST // 4


def test_every_program_that_the_threat_model_names_is_there() -> None:
    page = (Path(__file__).parents[2] / "docs" / "threat-model.md").read_text()
    rows = [line.split("|") for line in page.partition("## Promises")[2].splitlines() if line.startswith("| ")]
    named = {name for row in rows for name in re.findall(r"`([a-z0-9_]+)`", row[3])}
    assert named
    assert named <= {program.name for program in PROGRAMS}


@pytest.mark.parametrize(
    "text",
    [
        "return 1\n",
        "# sandboxed\n# About.\n# must: return 1\n",
        "# native\n# must: return 1\n",
        "# native\n# About.\n",
        "# native\n# About.\n# must: survive\n",
        "# native\n# About.\n# must: return 1 and the worker sleeps\n",
        "# native\n# About.\n# must: return 1\n# must: return 2\n",
        "# native\n# About.\n# must: return 1\n# next: as it likes\n",
        "# native\n# About.\n# must: return 1\n# then\n# About.\n",
    ],
)
def test_a_program_that_does_not_say_what_must_happen_is_no_program(tmp_path: Path, text: str) -> None:
    path = tmp_path / "program.txt"
    path.write_text(text)
    with pytest.raises(BadProgram):
        read(path)
