"""The volume: real files, hostile ones among them, and a process that is killed while it writes."""

import asyncio
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from service.domain.workspace import Workspace
from service.domain.yaml import load_yaml
from service.errors import InvalidRequest, WorkspaceBroken, WorkspaceNotFound
from service.storage.workspaces import BUNDLE, DEFINITION, YAML_PER_DOCUMENT, Volume

MAX_BYTES = 100_000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data" / "functions"


@pytest.fixture
async def volume(root: Path) -> AsyncIterator[Volume]:
    volume = Volume(dirpath=root, document_max_bytes=MAX_BYTES)
    await volume.open()
    yield volume
    await volume.close()


def workspace(name: str = "w", code: str = "return 1\n", **fields: Any) -> Workspace:
    return Workspace.from_document(name, {"functions": {"f": {"code": code}}, **fields})


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def broken(volume: Volume, name: str = "w") -> str:
    with pytest.raises(WorkspaceBroken) as refused:
        await asyncio.wait_for(volume.read(name), 10)
    return refused.value.reason


async def test_what_is_written_is_read(volume: Volume, root: Path) -> None:
    written = workspace(code="x = 1\n\nreturn x\n", description="é")
    signature = await volume.write(written)
    stored = await volume.read("w")
    assert stored.workspace == written
    assert stored.signature == signature == volume.signature("w")
    assert (root / "w" / DEFINITION).read_text() == (
        "functions:\n  f:\n    code: |\n      x = 1\n\n      return x\ndescription: é\n"
    )


async def test_another_process_reads_the_same(volume: Volume, root: Path) -> None:
    written = workspace()
    await volume.write(written)
    other = Volume(dirpath=root, document_max_bytes=MAX_BYTES)
    await other.open()
    assert (await other.read("w")).workspace == written
    await other.close()


async def test_an_unchanged_workspace_is_not_parsed_again(volume: Volume) -> None:
    await volume.write(workspace())
    assert (await volume.read("w")).workspace is (await volume.read("w")).workspace


async def test_files_are_for_their_owner_only(volume: Volume, root: Path) -> None:
    await volume.write(workspace())
    await volume.write_bundle("w", b"x")
    assert [oct(path.stat().st_mode & 0o777) for path in (root, root / "w")] == ["0o700", "0o700"]
    assert [oct((root / "w" / name).stat().st_mode & 0o777) for name in (DEFINITION, BUNDLE)] == ["0o600", "0o600"]


async def test_what_is_not_there_is_not_found(volume: Volume, root: Path) -> None:
    (root / "empty").mkdir()
    (root / "file").touch()
    for name in ("w", "empty", "file"):
        assert volume.signature(name) is None
        with pytest.raises(WorkspaceNotFound):
            await volume.read(name)
        assert await volume.read_bundle(name) == b""
        assert await volume.delete(name) is False


async def test_a_change_from_outside_is_seen(volume: Volume, root: Path) -> None:
    before = await volume.write(workspace())
    (root / "w" / DEFINITION).write_text("functions: {g: {code: return 2}}\n")
    assert volume.signature("w") != before
    assert list((await volume.read("w")).workspace.timeouts_ms) == ["g"]


async def test_an_edit_that_keeps_size_and_modification_time_is_seen(volume: Volume, root: Path) -> None:
    before = await volume.write(workspace(code="return 1\n"))
    path = root / "w" / DEFINITION
    status = path.stat()
    with path.open("r+b") as file:  # in place: the inode stays too
        content = file.read()
        file.seek(0)
        file.write(content.replace(b"return 1", b"return 2"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    after = volume.signature("w")
    assert after is not None
    assert (after.size, after.mtime_ns, after.inode) == (before.size, before.mtime_ns, before.inode)
    assert (await volume.read("w")).workspace.document["functions"]["f"]["code"] == "return 2\n"


async def test_edits_within_one_tick_of_the_clock_are_not_lost(volume: Volume, root: Path) -> None:
    """However an edit falls between the steps of a read: what is read last is what is there."""
    (root / "w").mkdir()
    path = root / "w" / DEFINITION
    for number in range(1000, 1020):
        path.write_text(f"functions: {{f: {{code: return {number}}}}}\n")
        reading = asyncio.create_task(volume.read("w"))
        await asyncio.sleep(0)
        with path.open("r+b") as file:
            file.write(f"functions: {{f: {{code: return {number + 1000}}}}}\n".encode())
        await reading
        assert (await volume.read("w")).workspace.document["functions"]["f"]["code"] == f"return {number + 1000}"


async def test_a_definition_is_read_with_its_line_if_it_is_no_yaml(volume: Volume, root: Path) -> None:
    await volume.write(workspace("fine"))
    (root / "w").mkdir()
    (root / "w" / DEFINITION).write_text("functions:\n  f:\n    code: x\n    code: y\n")
    assert await broken(volume) == "workspace.yaml, line 4, column 5: the key 'code' is there twice"
    assert (await volume.read("fine")).workspace.name == "fine"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "workspace.yaml: must be an object, not null"),
        (b"functions: {f: {code: 1}}", "workspace.yaml: functions.f.code must be a string, not a number"),
        (
            b"a: 1\nb: 2\nc: 3\nd: 4\n",
            "is no field of a workspace; its fields are functions, description, env, network",
        ),
        (b"\xff\xfe", "workspace.yaml, line 1, column 1: the text is not in UTF-8"),
        (b"#" * (MAX_BYTES * YAML_PER_DOCUMENT + 1), "workspace.yaml: it has 800001 bytes, where 800000 is the most"),
    ],
)
async def test_a_broken_definition_says_why(volume: Volume, root: Path, content: bytes, reason: str) -> None:
    (root / "w").mkdir()
    (root / "w" / DEFINITION).write_bytes(content)
    assert reason in await broken(volume)


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


async def test_a_bundle_is_kept_beside_its_definition(volume: Volume) -> None:
    assert await volume.read_bundle("w") == b""
    with pytest.raises(FileNotFoundError):
        await volume.write_bundle("w", b"too early")
    await volume.write(workspace())
    await volume.write_bundle("w", b"\0compiled")
    assert await volume.read_bundle("w") == b"\0compiled"


async def test_a_deleted_workspace_is_gone_and_foreign_files_stay(volume: Volume, root: Path) -> None:
    for name in ("a", "b"):
        await volume.write(workspace(name))
        await volume.write_bundle(name, b"x")
    (root / "b" / "notes.txt").write_text("mine")
    assert await volume.delete("a") is True
    assert await volume.delete("b") is True
    assert await volume.delete("a") is False
    assert not (root / "a").exists()
    assert listing(root / "b") == ["notes.txt"]
    for name in ("a", "b"):
        with pytest.raises(WorkspaceNotFound):
            await volume.read(name)
    await volume.write(workspace("b"))
    assert await volume.read_bundle("b") == b""


async def test_names_come_in_pages_and_only_of_workspaces(volume: Volume, root: Path) -> None:
    for name in ("b", "a", "d", "c", "A1", "e-f"):
        await volume.write(workspace(name))
    (root / "empty").mkdir()
    (root / ".hidden").mkdir()
    (root / ".hidden" / DEFINITION).write_text("functions: {}\n")
    (root / "c.d").write_text("")
    assert await volume.names(after=None, limit=10) == (["A1", "a", "b", "c", "d", "e-f"], False)
    assert await volume.names(after=None, limit=2) == (["A1", "a"], True)
    assert await volume.names(after="a", limit=4) == (["b", "c", "d", "e-f"], False)
    assert await volume.names(after="bb", limit=1) == (["c"], True)
    assert await volume.names(after="z", limit=1) == ([], False)
    listings = await asyncio.gather(*(volume.names(after=None, limit=10) for _ in range(50)))
    assert all(names == ["A1", "a", "b", "c", "d", "e-f"] for names, _ in listings)


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


async def test_a_definition_too_large_to_be_read_again_is_not_written(volume: Volume) -> None:
    await volume.write(workspace())
    with pytest.raises(InvalidRequest, match="is too large to be stored"):
        await volume.write(workspace(code="\x01" * (MAX_BYTES * YAML_PER_DOCUMENT // 4)))
    assert (await volume.read("w")).workspace == workspace()


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


async def test_a_file_in_the_place_of_the_volume_is_an_error_at_open(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    volume = Volume(dirpath=tmp_path / "file", document_max_bytes=MAX_BYTES)
    with pytest.raises(FileExistsError):
        await volume.open()
    volume = Volume(dirpath=tmp_path / "file" / "below", document_max_bytes=MAX_BYTES)
    with pytest.raises(NotADirectoryError):
        await volume.open()
    await volume.close()


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


async def test_readers_see_whole_definitions_while_one_is_replaced_again_and_again(volume: Volume) -> None:
    versions = [workspace(code="return 1\n" * count) for count in (1, 500, 2000)]
    await volume.write(versions[0])
    reader = Volume(dirpath=volume._dirpath, document_max_bytes=MAX_BYTES)  # another process, with a cache of its own
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


async def test_a_volume_may_be_closed_twice_and_says_so_when_it_is_not_open(root: Path) -> None:
    volume = Volume(dirpath=root, document_max_bytes=MAX_BYTES)
    with pytest.raises(RuntimeError, match="not open"):
        await volume.names(after=None, limit=1)
    await volume.open()
    await volume.close()
    await volume.close()
