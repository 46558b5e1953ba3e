"""The volume under a kill, a full disk, a cancelled caller: whole definitions, and never half of one."""

import asyncio
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from service.domain.workspace import Workspace
from service.domain.yaml import load_yaml
from service.errors import WorkspaceNotFound
from service.storage.workspaces import DEFINITION, Volume
from tests.integration.volumes import MAX_BYTES, listing, workspace


async def test_what_a_crash_left_is_no_workspace_and_goes_with_the_next_write(volume: Volume, root: Path) -> None:
    (root / "w").mkdir()
    left = root / "w" / f".{DEFINITION}.0123abcd.7.tmp"
    left.write_text("functions: {f: {co")
    (root / "w" / ".gitignore").touch()
    assert await volume.names(after=None, limit=10) == ([], False)
    with pytest.raises(WorkspaceNotFound):
        await volume.read("w")
    await volume.write(workspace())
    assert listing(root / "w") == [".gitignore", DEFINITION]


@pytest.fixture
def full_disk() -> Any:
    """No file can grow beyond a few bytes: what a write sees of a full disk, without a disk to fill."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))

    def free() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    fill.free = free  # type: ignore[attr-defined] # a function that carries its opposite
    yield fill
    free()
    signal.signal(signal.SIGXFSZ, handler)


async def test_a_full_disk_is_an_error_that_leaves_the_old_version_and_nothing_else(
    volume: Volume, root: Path, full_disk: Any
) -> None:
    await volume.write(workspace())
    full_disk()
    try:
        with pytest.raises(OSError, match="File too large"):
            await volume.write(workspace(code="return 2\n"))
        with pytest.raises(OSError, match="File too large"):
            await volume.write_bundle("w", b"x" * 1000)
        with pytest.raises(OSError, match="File too large"):
            await volume.write(workspace("new"))
    finally:
        full_disk.free()
    assert listing(root) == ["w"]
    assert listing(root / "w") == [DEFINITION]
    assert (await volume.read("w")).workspace == workspace()


async def test_a_cancelled_write_has_ended_when_its_caller_goes_on(volume: Volume, root: Path) -> None:
    """Whoever holds a lock around a write gives it up when it is cancelled; by then the disk must be at rest."""
    for number in range(20):
        writing = asyncio.create_task(volume.write(workspace(code=f"return {number}\n")))
        await asyncio.sleep(0)
        writing.cancel()
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        await volume.write(workspace(code="return 'last'\n"))
        assert listing(root / "w") == [DEFINITION]
        assert (await volume.read("w")).workspace == workspace(code="return 'last'\n")


async def test_readers_see_whole_definitions_while_one_is_replaced_again_and_again(volume: Volume, root: Path) -> None:
    versions = [workspace(code="return 1\n" * count) for count in (1, 500, 2000)]
    await volume.write(versions[0])
    reader = Volume(dirpath=root, document_max_bytes=MAX_BYTES)  # another process, with a cache of its own
    await reader.open()
    writing = asyncio.create_task(_write_all(volume, versions * 20))
    seen = set()
    while not writing.done():
        seen.add((await reader.read("w")).workspace.revision)
    await writing
    await reader.close()
    assert seen <= {version.revision for version in versions}


async def _write_all(volume: Volume, versions: list[Workspace]) -> None:
    for version in versions:
        await volume.write(version)


WRITER = """
import asyncio, pathlib, sys
from service.domain.workspace import Workspace
from service.storage.workspaces import Volume

async def write_for_ever(volume, number):
    turn = 0
    while True:
        turn += 1
        code = f"return {turn}\\n" * (turn % 300)
        await volume.write(Workspace.from_document(f"w{number}", {"functions": {"f": {"code": code, "timeout": turn}}}))
        print(number, turn, flush=True)

async def main():
    volume = Volume(dirpath=pathlib.Path(sys.argv[1]), document_max_bytes=100_000)
    await volume.open()
    await asyncio.gather(*(write_for_ever(volume, number) for number in range(8)))

asyncio.run(main())
"""


def kill_a_writer(root: Path, *, after_lines: int) -> dict[str, int]:
    """The last turn of each workspace that was acknowledged before the kill."""
    with subprocess.Popen([sys.executable, "-c", WRITER, root], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        lines = [writer.stdout.readline() for _ in range(after_lines)]
        writer.kill()
        lines += writer.stdout.readlines()
    return {number: int(turn) for number, turn in (line.split() for line in lines if line.endswith("\n"))}


@pytest.mark.parametrize("after_lines", [1, 7, 60, 121])
def test_a_process_killed_while_it_writes_leaves_every_acknowledged_definition_whole(
    root: Path, after_lines: int
) -> None:
    for number, turn in kill_a_writer(root, after_lines=after_lines).items():
        document = load_yaml((root / f"w{number}" / DEFINITION).read_bytes())
        assert isinstance(document, dict)
        assert document["functions"]["f"]["timeout"] >= turn


async def test_after_a_kill_every_definition_parses_and_the_next_write_tidies(root: Path) -> None:
    await asyncio.to_thread(kill_a_writer, root, after_lines=40)
    volume = Volume(dirpath=root, document_max_bytes=MAX_BYTES)
    await volume.open()
    names, more = await volume.names(after=None, limit=100)
    assert names
    assert not more
    for name in names:
        await volume.write((await volume.read(name)).workspace)
        assert listing(root / name) == [DEFINITION]
    await volume.close()
