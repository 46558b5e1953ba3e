"""The promises are the same for every user and on every machine that gives enough of a jail to start."""

import os
from pathlib import Path

import pytest

from tests.hostile.ordinary import USER, ordinary_folder, ordinary_python
from tests.hostile.programs import Program, all_programs
from tests.hostile.rig import run_programs, running_rig
from tests.skep import client_of

IS_ROOT = os.geteuid() == 0
NO_NAMESPACES = "unshare=EPERM"
NO_LANDLOCK = "landlock_create_ruleset=ENOSYS"
DEFAULT_CONTAINER = (NO_NAMESPACES, "capabilities=setuid,setgid,kill")
MACHINES = [(NO_NAMESPACES,), (NO_LANDLOCK,), *([DEFAULT_CONTAINER] if IS_ROOT else [])]


def _of_the_jail(program: Program) -> bool:
    """What the operating system has to refuse; how runs end in time is the same on every machine."""
    return program.is_native and not any("FunctionTimeout" in str(part.claim.value) for part in program.parts)


PROGRAMS = [program for program in all_programs() if _of_the_jail(program)]


@pytest.mark.parametrize("missing", MACHINES, ids=" ".join)
async def test_native_programs_get_nowhere_where_a_layer_is_missing(tmp_path: Path, missing: tuple[str, ...]) -> None:
    with running_rig(tmp_path, missing=missing) as rig:
        async with client_of(rig.skep) as client:
            assert (await client.call("GET", "/sys/healthcheck")).body["jail"] == "unprivileged"
        assert await run_programs(rig, PROGRAMS) == {}


@pytest.mark.skipif(not IS_ROOT, reason="who is no root runs every program as an ordinary user anyway")
@pytest.mark.parametrize("missing", [(), (NO_NAMESPACES,)], ids=lambda missing: " ".join(missing) or "nothing")
async def test_native_programs_get_nowhere_where_an_ordinary_user_runs_the_service(missing: tuple[str, ...]) -> None:
    with ordinary_folder() as folder:
        python = ordinary_python(folder)
        if python is None:
            pytest.skip("no interpreter of this version, or not the repository, can be read by an ordinary user")
        with running_rig(folder, python=python, user=USER, missing=missing) as rig:
            assert await run_programs(rig, PROGRAMS) == {}
