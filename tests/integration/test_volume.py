"""The volume: what is written is read, what changes is seen, what is broken says why."""

import asyncio
import os
from pathlib import Path

import pytest

from service.errors import InvalidRequest, WorkspaceNotFound
from service.storage.workspaces import BUNDLE, DEFINITION, YAML_PER_DOCUMENT, Volume
from tests.integration.volumes import MAX_BYTES, broken, listing, workspace


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


async def test_a_definition_too_large_to_be_read_again_is_not_written(volume: Volume) -> None:
    await volume.write(workspace())
    with pytest.raises(InvalidRequest, match="is too large to be stored"):
        await volume.write(workspace(code="\x01" * (MAX_BYTES * YAML_PER_DOCUMENT // 4)))
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


async def test_a_volume_may_be_closed_twice_and_says_so_when_it_is_not_open(root: Path) -> None:
    volume = Volume(dirpath=root, document_max_bytes=MAX_BYTES)
    with pytest.raises(RuntimeError, match="not open"):
        await volume.names(after=None, limit=1)
    await volume.open()
    await volume.close()
    await volume.close()
