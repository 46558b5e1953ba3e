"""A disk that is full or read-only, a volume that goes away: whoever needs it is told, all else works."""

import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tests.integration.faults import assert_unavailable, counts, fill, limited, small_disk, until_status
from tests.skep import Skep, client_of, running_skep

IS_ROOT = os.geteuid() == 0
UNAVAILABLE = 'skep_runs_total{outcome="unavailable"}'
Fault = Callable[[Skep], AbstractContextManager[None]]


@contextmanager
def _small_disk(skep: Skep) -> Iterator[None]:
    filler = fill(skep.functions)
    try:
        yield
    finally:
        filler.unlink()


@contextmanager
def _no_larger_files(skep: Skep) -> Iterator[None]:
    """What a full disk is to every write of the service, the log's included."""
    with limited(skep.pid, resource.RLIMIT_FSIZE, 10):
        yield


@contextmanager
def _read_only(skep: Skep) -> Iterator[None]:
    subprocess.run(["mount", "-o", "remount,ro", skep.functions], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", skep.functions], check=True)


@contextmanager
def _no_permission(skep: Skep) -> Iterator[None]:
    """For an ordinary user: root is not asked for any."""
    folders = (skep.functions, skep.functions / "w")
    for folder in folders:
        folder.chmod(0o500)
    try:
        yield
    finally:
        for folder in folders:
            folder.chmod(0o700)


def _files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.glob("*/*") if path.is_file()}


async def _goes_on(skep: Skep, words: tuple[str, ...], fault: Fault) -> None:
    async with client_of(skep) as client:
        await client.deploy("w", {"one": "return 1"})
        before = _files(skep.functions)
        with fault(skep):
            for name in ("w", "new"):
                assert_unavailable(await client.deploy(name, {"one": "return 2"}), "cannot be stored", *words)
            patched = await client.call("PATCH", "/v2/functions/w", json={"description": "x"})
            assert_unavailable(patched, "cannot be stored")
            assert (await client.run("w", "one")).result == 1
            assert (await client.inline("cold", "return 3")).result == 3
            assert (await client.run("new", "one")).status == 404
            assert (await client.call("GET", "/sys/ready")).status == 200
            assert _files(skep.functions) == before
        for name in ("w", "new"):
            assert (await client.deploy(name, {"one": "return 2"})).status == 200
            assert (await client.run(name, "one")).result == 2
    assert not list(skep.functions.glob("*/.*"))


async def test_a_disk_that_takes_nothing_more_refuses_deploys_and_nothing_else(tmp_path: Path) -> None:
    with running_skep(tmp_path) as skep:
        await _goes_on(skep, ("File too large",), _no_larger_files)
        if not IS_ROOT:
            shutil.rmtree(skep.functions / "new")
            await _goes_on(skep, ("Permission denied",), _no_permission)


async def test_a_full_and_a_read_only_disk_refuse_deploys_and_nothing_else(tmp_path: Path) -> None:
    with small_disk(tmp_path / "functions"), running_skep(tmp_path) as skep:
        await _goes_on(skep, ("No space left on device",), _small_disk)
        shutil.rmtree(skep.functions / "new")
        await _goes_on(skep, ("Read-only file system",), _read_only)


async def test_a_volume_that_is_gone_is_said_so_until_it_is_back(tmp_path: Path) -> None:
    with running_skep(tmp_path) as skep:
        async with client_of(skep) as client:
            await client.deploy("w", {"one": "return 1"})
            assert (await client.call("GET", "/sys/ready")).status == 200

            away = tmp_path / "away"
            skep.functions.rename(away)
            assert_unavailable(await until_status(client, "/sys/ready", 503), "volume cannot be read")
            assert (await client.run("w", "one")).result == 1
            away.rename(skep.functions)
            await until_status(client, "/sys/ready", 200)

            shutil.copytree(skep.functions, away)
            shutil.rmtree(skep.functions)
            assert_unavailable(await client.run("w", "one"), "its folder was deleted")
            assert_unavailable(await client.inline("w", "return 1"), "its folder was deleted")
            assert_unavailable(await client.deploy("w", {"one": "return 2"}))
            assert_unavailable(await client.call("GET", "/v2/functions/w"), "its folder was deleted")
            assert_unavailable(await until_status(client, "/sys/ready", 503), "volume cannot be read")
            assert (await client.call("GET", "/sys/healthcheck")).status == 200
            assert (await counts(client))[UNAVAILABLE] == 2
            away.rename(skep.functions)
            await until_status(client, "/sys/ready", 200)
            assert (await client.run("w", "one")).result == 1
            assert (await client.deploy("w", {"one": "return 2"})).status == 200
            assert (await client.run("w", "one")).result == 2
            events = [line["event"] for line in skep.log_lines() if line["event"].startswith("volume")]
            assert events == ["volume lost", "volume back", "volume lost", "volume replaced", "volume back"]


async def test_one_workspace_that_cannot_be_started_is_told_why_beside_others_that_can(two_places: Skep) -> None:
    folder = two_places.functions
    for name in ("fine", "broken", "bundle"):
        (folder / name).mkdir()
        (folder / name / "workspace.yaml").write_text("functions: {one: {code: return 1}}\n")
    broken = folder / "broken" / "workspace.yaml"
    broken.write_text("functions: {one: {code: return 1}\n")
    (folder / "bundle" / "module.bundle").mkdir()
    async with client_of(two_places) as client:
        unavailable = (await counts(client))[UNAVAILABLE]
        assert_unavailable(await client.run("broken", "one"), "'broken' cannot be loaded", "line 2")
        # Derived, so that one that cannot be read is made anew, and one that cannot be kept is no failure.
        assert (await client.run("bundle", "one")).result == 1
        assert (await client.run("fine", "one")).result == 1
        assert (await counts(client))[UNAVAILABLE] == unavailable + 1
        broken.write_text("functions: {one: {code: return 1}}\n")
        assert (await client.run("broken", "one")).result == 1
