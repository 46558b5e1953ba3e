"""Hostile files and names on the volume: nothing leads outside, nothing is waited for, nothing else is touched."""

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from service.errors import WorkspaceBroken, WorkspaceNotFound
from service.storage.workspaces import BUNDLE, DEFINITION, Volume
from tests.integration.volumes import broken, listing, workspace


def link_outside(path: Path) -> None:
    outside = path.parents[2] / "outside.yaml"
    outside.write_text("functions: {}\n")
    path.symlink_to(outside)


def listen(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


HOSTILE_FILES: list[tuple[Callable[[Path], object], str]] = [
    (link_outside, "it is a symbolic link"),
    (lambda path: path.symlink_to(path), "it is a symbolic link"),
    (lambda path: path.symlink_to("/dev/zero"), "it is a symbolic link"),
    (os.mkfifo, "it is not a regular file"),
    (Path.mkdir, "it is not a regular file"),
    (listen, "it is not a regular file"),
    (lambda path: os.mknod(path, 0o20666, os.makedev(1, 5)), "it is not a regular file"),
]


@pytest.mark.parametrize(("make", "reason"), HOSTILE_FILES)
async def test_what_is_no_regular_file_is_neither_followed_nor_waited_for(
    volume: Volume, root: Path, make: Callable[[Path], object], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "w").mkdir()
    monkeypatch.chdir(root / "w")  # the path of a socket must be short
    for name in (DEFINITION, BUNDLE):
        try:
            make(Path.cwd() / name if make is link_outside else Path(name))
        except PermissionError:
            pytest.skip("device nodes need a privilege that this machine does not give")
    assert await broken(volume) == f"workspace.yaml: {reason}"
    assert await asyncio.wait_for(volume.read_bundle("w"), 10) == b""


@pytest.mark.parametrize(("make", "_reason"), [case for case in HOSTILE_FILES if case[0] is not Path.mkdir])
async def test_a_deploy_replaces_what_is_no_regular_file_and_touches_nothing_else(
    volume: Volume, root: Path, make: Callable[[Path], object], _reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "w").mkdir()
    monkeypatch.chdir(root / "w")
    try:
        make(Path.cwd() / DEFINITION if make is link_outside else Path(DEFINITION))
    except PermissionError:
        pytest.skip("device nodes need a privilege that this machine does not give")
    await volume.write(workspace())
    assert (await volume.read("w")).workspace == workspace()
    outside = root / "outside.yaml"
    assert not outside.exists() or outside.read_text() == "functions: {}\n"


async def test_a_folder_in_the_place_of_the_definition_is_never_removed(volume: Volume, root: Path) -> None:
    (root / "w" / DEFINITION / "kept").mkdir(parents=True)
    with pytest.raises(WorkspaceBroken):
        await volume.write(workspace())
    with pytest.raises(WorkspaceBroken):
        await volume.delete("w")
    assert listing(root / "w") == [DEFINITION]
    assert (root / "w" / DEFINITION / "kept").is_dir()


async def test_a_workspace_that_is_a_symbolic_link_leads_nowhere(volume: Volume, root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / DEFINITION).write_text("functions: {}\n")
    (outside / BUNDLE).write_text("secret")
    (root / "w").symlink_to(outside)
    (root / "loop").symlink_to("loop")
    assert await broken(volume) == (
        "workspace.yaml: its folder is not a folder (a symbolic link to one is not followed)"
    )
    assert await volume.read_bundle("w") == b""
    for name in ("w", "loop"):
        with pytest.raises(WorkspaceBroken):
            await volume.write(workspace(name))
    with pytest.raises(WorkspaceBroken):
        await volume.delete("w")
    with pytest.raises(OSError, match="Not a directory"):
        await volume.write_bundle("w", b"x")
    assert (await volume.names(after=None, limit=10)) == ([], False)
    assert listing(outside) == [BUNDLE, DEFINITION]
    assert (outside / DEFINITION).read_text() == "functions: {}\n"


@pytest.mark.parametrize("name", ["../outside", "..", ".", "", "a/b", "a\0b", "x" * 300, "/etc"])
async def test_no_name_leads_out_of_the_volume(volume: Volume, root: Path, tmp_path: Path, name: str) -> None:
    (root.parent / "outside").mkdir()
    (root.parent / "outside" / DEFINITION).write_text("functions: {}\n")
    (root.parent / DEFINITION).write_text("functions: {}\n")
    with pytest.raises((WorkspaceNotFound, ValueError)):
        await volume.read(name)
    with pytest.raises(ValueError, match="no name for a workspace"):
        await volume.write(workspace(name))
    with pytest.raises(FileNotFoundError):
        await volume.write_bundle(name, b"x")
    assert await volume.read_bundle(name) == b""
    assert await volume.delete(name) is False
    assert (root.parent / "outside" / DEFINITION).exists()
    assert (root.parent / DEFINITION).exists()


async def test_no_descriptor_stays_open(volume: Volume, root: Path) -> None:
    (root / "folder" / DEFINITION).mkdir(parents=True)
    (root / "link").symlink_to(root)
    await volume.write(workspace())
    before = len(listing(Path("/proc/self/fd")))
    for _ in range(10):
        await volume.write(workspace())
        await volume.read_bundle("w")
        await volume.names(after=None, limit=10)
        for name in ("folder", "link"):
            with pytest.raises(WorkspaceBroken):
                await volume.write(workspace(name))
        await broken(volume, "folder")
    assert len(listing(Path("/proc/self/fd"))) == before
