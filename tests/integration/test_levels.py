"""What a machine gives for a jail, and what Skep says and does where something is missing. Never silent."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.skep import COMMAND, client_of, running_skep, skep_aside, state

AT_ONCE = 2
IS_ROOT = os.geteuid() == 0
WITHOUT = (sys.executable, "-m", "tests.without")

NO_NAMESPACES = "unshare=EPERM"
NO_MOUNTS = "mount=EACCES"
NO_LANDLOCK = "landlock_create_ruleset=ENOSYS"
NO_SECCOMP = "seccomp=EINVAL"
NO_IDS = "setresuid=EPERM"

# What is taken away, the level that is left, the layers that must be reported as missing. The user id is an ordinary
# user's to lose anyway, so that it stands in the table of root only.
LACKS: dict[str, tuple[tuple[str, ...], str, set[str]]] = {
    "no unshare": ((NO_NAMESPACES,), "unprivileged", {"namespaces"}),
    "no mounts": ((NO_MOUNTS,), "unprivileged", {"namespaces"}),
    "no Landlock": ((NO_LANDLOCK,), "unprivileged", {"landlock"}),
    "no seccomp": ((NO_SECCOMP,), "none", {"seccomp"}),
    "seccomp alone": ((NO_NAMESPACES, NO_LANDLOCK), "none", {"namespaces", "landlock"}),
    "nothing": ((NO_NAMESPACES, NO_LANDLOCK, NO_SECCOMP), "none", {"namespaces", "landlock", "seccomp"}),
}
ROOT_LACKS: dict[str, tuple[tuple[str, ...], str, set[str]]] = {
    "no other ids": ((NO_IDS,), "unprivileged", {"own user id"}),
    "two capabilities and user namespaces": (("capabilities=setuid,setgid",), "full", set()),
    "no capabilities": (("capabilities=-",), "unprivileged", {"namespaces", "own user id"}),
    "a container by default": ((NO_NAMESPACES, "capabilities=setuid,setgid,kill"), "unprivileged", {"namespaces"}),
}
TABLE = {**LACKS, **(ROOT_LACKS if IS_ROOT else {})}


def _missing(log: list[dict[str, Any]]) -> set[str]:
    return {line["layer"] for line in log if line["event"] == "jail layer missing"}


async def test_what_is_missing_is_reported_and_workers_can_still_be_killed(tmp_path: Path) -> None:
    """Some machines side by side: a service that starts has one processor to do at a time."""
    room = asyncio.Semaphore(AT_ONCE)

    async def check(name: str) -> None:
        folder = tmp_path / name
        folder.mkdir()
        async with room:
            await _check_machine(folder, *TABLE[name])

    failures = await asyncio.gather(*map(check, TABLE), return_exceptions=True)
    assert {name: failure for name, failure in zip(TABLE, failures, strict=True) if failure} == {}


async def _check_machine(folder: Path, missing: tuple[str, ...], level: str, layers: set[str]) -> None:
    command = (*WITHOUT, *missing, "--", *COMMAND)
    async with skep_aside(folder, {"SANDBOX_LEVEL": "none"}, command=command) as skep, client_of(skep) as client:
        assert (await client.call("GET", "/sys/healthcheck")).body["jail"] == level
        stuck = {"code": "import itertools\nreturn sum(itertools.repeat(1))", "timeout": 50}
        await client.deploy("w", {"stuck": stuck, "one": "return 1"})
        assert (await client.run("w", "one")).result == 1
        workers = set(skep.worker_pids())
        assert (await client.run("w", "stuck")).status == 504
        assert (await client.run("w", "one")).result == 1
        assert workers.isdisjoint(skep.worker_pids())
        assert _missing(skep.log_lines()) - ({"own user id"} - layers if not IS_ROOT else set()) == layers


async def test_without_a_pid_namespace_no_worker_outlives_zygote_and_service(tmp_path: Path) -> None:
    with running_skep(tmp_path, command=(*WITHOUT, NO_NAMESPACES, "--", *COMMAND)) as skep:
        async with client_of(skep) as client:
            await client.deploy(
                "w", {"spin": "cache['held'] = True\nimport itertools\nreturn sum(itertools.repeat(1))"}
            )
            running = asyncio.create_task(client.run("w", "spin"))
            async with asyncio.timeout(5):
                workers: list[int] = []
                while not workers:
                    await asyncio.sleep(0)
                    workers = [pid for pid in skep.worker_pids() if state(pid) == "R"]
            zygote = skep.zygote_pid()
            os.kill(zygote, signal.SIGSTOP)
            skep.process.kill()
            os.kill(zygote, signal.SIGKILL)
            with contextlib.suppress(aiohttp.ClientError):
                await running
            end = time.monotonic() + 5
            while any(state(pid) not in {"Z", None} for pid in workers):
                assert time.monotonic() < end
                await asyncio.sleep(0.01)


BELOW = [((NO_SECCOMP,), ""), ((NO_NAMESPACES, NO_LANDLOCK), ""), ((NO_LANDLOCK,), "full"), ((NO_NAMESPACES,), "full")]


def test_below_the_level_that_is_asked_for_it_does_not_start(tmp_path: Path) -> None:
    with ThreadPoolExecutor(AT_ONCE) as threads:
        starts = list(threads.map(partial(_start_below, tmp_path), *zip(*BELOW, strict=True)))
    for (missing, least), ended in zip(BELOW, starts, strict=True):
        assert ended.returncode == 1, missing
        assert "cannot start" in ended.stdout
        assert f"SANDBOX_LEVEL asks for '{least or 'unprivileged'}'" in ended.stdout
        assert "needs" in ended.stdout
        assert "serving" not in ended.stdout
        assert "Traceback" not in ended.stdout + ended.stderr


def _start_below(folder: Path, missing: tuple[str, ...], least: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "PORT": "0", "SANDBOX_LEVEL": least, "LOG_FORMAT": "json"}
    environment["FUNCTIONS_STORAGE_FILESYSTEM_DIRPATH"] = str(folder)
    environment["DATABASE_PATH"] = str(folder / "skep.db")
    return subprocess.run(
        [*WITHOUT, *missing, "--", *COMMAND], env=environment, capture_output=True, text=True, timeout=30, check=False
    )


def _doctor(missing: tuple[str, ...] = (), *, least: str = "unprivileged") -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "SANDBOX_LEVEL": least}
    command = [*WITHOUT, *missing, "--", *COMMAND, "doctor"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)


def test_the_doctor_shows_every_layer_and_what_a_missing_one_needs() -> None:
    with ThreadPoolExecutor(AT_ONCE) as threads:
        well, ill = threads.map(_doctor, [(), (NO_LANDLOCK,)])
    assert (well.returncode, ill.returncode) == (0, 0)
    for layer in ("namespaces", "own user id", "landlock", "seccomp", "control group"):
        assert layer in well.stdout
    assert "landlock       off" in ill.stdout
    assert "Linux 5.13" in ill.stdout


def test_the_doctor_says_when_it_would_not_start() -> None:
    ended = _doctor((NO_SECCOMP,))
    assert ended.returncode == 1
    assert "'none'" in ended.stdout
    assert "does not start" in ended.stdout


def test_a_level_that_is_none_is_a_bad_setting() -> None:
    ended = _doctor(least="perfect")
    assert ended.returncode == 2
    assert "SANDBOX_LEVEL must be one of none, unprivileged, full" in ended.stderr


@pytest.mark.skipif(not IS_ROOT, reason="an ordinary user has no id to give away")
def test_root_gives_workers_everything() -> None:
    assert "the jail 'full'" in _doctor(least="full").stdout
