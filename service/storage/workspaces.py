"""The volume: a folder for each workspace, in it `workspace.yaml`, the truth, and `module.bundle`, derived from it.

Nothing on the volume is trusted: a name is a single component, symbolic links are not followed, and what is no regular
file is not read. A workspace whose files cannot be used is broken; no other is.
"""

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from cachetools import LRUCache

from service.domain.names import is_workspace_name
from service.domain.workspace import Workspace
from service.domain.yaml import YamlError, dump_yaml, load_yaml
from service.errors import InvalidRequest, Problem, VolumeUnavailable, WorkspaceBroken, WorkspaceNotFound
from service.storage import files
from service.storage.files import Signature
from service.storage.listing import workspace_names
from service.storage.locks import Locks
from service.storage.reasons import NOT_THE_FILES, reason_of, summary_of, unreadable
from service.storage.root import Root
from service.threads import started_threads

DEFINITION: Final = "workspace.yaml"
BUNDLE: Final = "module.bundle"
YAML_PER_DOCUMENT: Final = 8
"""A definition as YAML, indented, may have so many times the bytes it was sent with."""
BUNDLE_PER_DOCUMENT: Final = 16
THREADS: Final = 8
LOCK_TIMEOUT_S: Final = 30.0
PARSED_MAX_BYTES: Final = 64 * 2**20
"""Text of the definitions that are kept parsed."""

_UNREADABLE: Final = Signature(0, 0, 0, 0)

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Stored:
    """A workspace as it was read, and what tells whether it has changed since."""

    workspace: Workspace
    signature: Signature


class Volume:
    """The definitions on disk. Several services may have one volume: each sees at its next look what another has
    changed, and who changes a workspace holds its lock meanwhile. Within a service, that is for the caller to order.

    A call that is cancelled ends when its work on the disk does, so that a lock held around it means something.
    """

    def __init__(self, *, dirpath: Path, document_max_bytes: int) -> None:
        self._definition_max_bytes = document_max_bytes * YAML_PER_DOCUMENT
        self._bundle_max_bytes = document_max_bytes * BUNDLE_PER_DOCUMENT
        self._root = Root(dirpath)
        self._threads: ThreadPoolExecutor | None = None
        self._replacer = files.Replacer()
        self._locks = Locks()
        self._fresh: dict[str, Stored] = {}
        self._parsed: LRUCache[str, Stored] = LRUCache(PARSED_MAX_BYTES, getsizeof=lambda stored: stored.signature.size)

    async def open(self) -> None:
        """Make the folder if there is none, and hold on to it. Raises: OSError."""
        self._threads = started_threads(THREADS, name="volume")
        try:
            await self._in_thread(self._root.open)
        except BaseException:
            self._threads.shutdown()
            self._threads = None
            raise

    async def close(self) -> None:
        """Wait for what is being written, then let go. May be called again."""
        threads, self._threads = self._threads, None
        if threads is None:
            return
        await asyncio.to_thread(threads.shutdown)
        self._root.close()

    def signature(self, name: str) -> Signature | None:
        """What tells this content of the definition from another, or None if there is none. Costs one `stat`."""
        try:
            status = os.stat(f"{name}/{DEFINITION}", dir_fd=self._root.fd, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError:
            return _UNREADABLE  # `read` says why
        return Signature.of(status)

    @property
    def is_removed(self) -> bool:
        """Whether its folder was deleted, and no workspace can be said to be there or not."""
        return self._root.is_removed

    async def read(self, name: str) -> Stored:
        """The workspace as it is on disk now; costs one `stat` while it does not change.

        Raises: WorkspaceNotFound, WorkspaceBroken with what is wrong and where, VolumeUnavailable.
        """
        if (fresh := self._fresh.get(name)) is not None:
            return fresh
        signature = self.signature(name)
        if signature is None:
            if self._root.is_removed:
                raise VolumeUnavailable("The volume cannot be read: its folder was deleted.")
            raise WorkspaceNotFound(name)
        stored = self._parsed.get(name)
        if stored is None or stored.signature != signature:
            stored = await self._in_thread(self._read, name)
            self._keep(stored)
        else:
            # Good until the loop turns: whoever asks before that was heard before this `stat`.
            if not self._fresh:
                asyncio.get_running_loop().call_soon(self._fresh.clear)
            self._fresh[name] = stored
        return stored

    @asynccontextmanager
    async def locked(self, name: str) -> AsyncIterator[None]:
        """No other service changes this workspace meanwhile. Raises: VolumeUnavailable."""
        async with self._locks.held(name, root=self._root.fd, timeout_s=LOCK_TIMEOUT_S, in_thread=self._in_thread):
            yield

    async def read_bundle(self, name: str) -> bytes:
        """What was compiled from the definition, or nothing if there is nothing usable. Not flushed, hence unproven:
        after a power cut it can hold anything.
        """
        return await self._in_thread(self._read_bundle, name)

    async def write(self, workspace: Workspace) -> Signature:
        """Put a definition in the place of the one there was; on disk, whatever happens next, when this returns.

        Raises: InvalidRequest if it is too large to be read again, WorkspaceBroken if something that is no file or
        folder is in its place, OSError (disk full, read-only) with the old definition intact.
        """
        signature = await self._in_thread(self._write, workspace)
        self._fresh.clear()
        self._keep(Stored(workspace, signature))
        return signature

    async def write_bundle(self, name: str, bundle: bytes) -> None:
        """Keep what was compiled beside its definition. Raises: OSError, FileNotFoundError without a definition."""
        await self._in_thread(self._write_bundle, name, bundle)

    async def delete(self, name: str) -> bool:
        """Remove a workspace, for good when this returns; False if there is none.

        Files that are not ours stay, and their folder with them. Raises: WorkspaceBroken, OSError.
        """
        deleted = await self._in_thread(self._delete, name)
        self._parsed.pop(name, None)
        self._fresh.clear()
        return deleted

    async def mentions(self, name: str, word: bytes) -> bool:
        """Whether a word stands anywhere in a definition, which is not parsed for that."""
        return await self._in_thread(self._mentions, name, word)

    async def names(
        self, *, after: str | None, limit: int, only: Callable[[str], bool] = is_workspace_name
    ) -> tuple[list[str], bool]:
        """At most `limit` names of workspaces, in order, that come after `after`; and whether more follow. Others than
        `only` are as if they were not there.

        Raises: VolumeUnavailable.
        """
        try:
            return await self._in_thread(
                partial(workspace_names, DEFINITION, root=self._root.fd, after=after, limit=limit, only=only)
            )
        except OSError as error:
            raise unreadable(error) from error

    def check(self) -> "asyncio.Future[None]":
        """See whether it can be read: `Root.check` in a thread, which is not waited for when this is cancelled."""
        return asyncio.wrap_future(self._submit(self._root.check))

    def _keep(self, stored: Stored) -> None:
        with suppress(ValueError):  # larger than the whole cache
            self._parsed[stored.workspace.name] = stored

    def _submit(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        if self._threads is None:
            raise RuntimeError("the volume is not open")
        return self._threads.submit(work, *args, **kwargs)

    async def _in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        future = asyncio.wrap_future(self._submit(work, *args, **kwargs))
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            # The thread goes on. Whoever is cancelled here may hold the lock that keeps the next write waiting.
            while not future.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([future])
            if not future.cancelled():
                future.exception()  # nobody will ask; asyncio would complain
            raise

    # What follows blocks, and runs in a thread.

    def _read(self, name: str) -> Stored:
        if not is_workspace_name(name):
            raise WorkspaceNotFound(name)
        try:
            with files.open_folder(name, parent=self._root.fd) as folder:
                content, signature = files.read_signed(DEFINITION, folder=folder, max_bytes=self._definition_max_bytes)
            workspace = Workspace.from_document(name, load_yaml(content))
        except FileNotFoundError:
            raise WorkspaceNotFound(name) from None
        except files.Unusable as error:
            raise WorkspaceBroken(name, f"{DEFINITION}: {error}") from error
        except OSError as error:
            if error.errno in NOT_THE_FILES:
                raise unreadable(error) from error
            raise WorkspaceBroken(name, f"{DEFINITION}: {reason_of(error)}") from error
        except YamlError as error:
            where = f"line {error.line}, column {error.column}"
            raise WorkspaceBroken(name, f"{DEFINITION}, {where}: {error.message}") from error
        except InvalidRequest as error:
            raise WorkspaceBroken(name, f"{DEFINITION}: {summary_of(error.problems)}") from error
        return Stored(workspace, signature)

    def _mentions(self, name: str, word: bytes) -> bool:
        try:
            with files.open_folder(name, parent=self._root.fd) as folder:
                return word in files.read_file(DEFINITION, folder=folder, max_bytes=self._definition_max_bytes)
        except (OSError, files.Unusable):
            return False

    def _read_bundle(self, name: str) -> bytes:
        if not is_workspace_name(name):
            return b""
        try:
            with files.open_folder(name, parent=self._root.fd) as folder:
                return files.read_file(BUNDLE, folder=folder, max_bytes=self._bundle_max_bytes)
        except (OSError, files.Unusable):
            return b""

    def _write(self, workspace: Workspace) -> Signature:
        name, content, most = workspace.name, dump_yaml(workspace.document), self._definition_max_bytes
        if not is_workspace_name(name):
            raise ValueError(f"no name for a workspace: {name!r}")
        if len(content) > most:
            message = f"is too large to be stored: {len(content)} bytes as YAML, where {most} is the most"
            raise InvalidRequest([Problem("", message)])
        with suppress(FileExistsError):
            os.mkdir(name, files.FOLDER_MODE, dir_fd=self._root.fd)
        is_new = not files.exists(f"{name}/{DEFINITION}", folder=self._root.fd)
        try:
            with files.open_folder(name, parent=self._root.fd) as folder:
                self._replacer.remove_leftovers(folder=folder)
                signature = self._replacer.replace(DEFINITION, content, folder=folder, durable=True)
        except (IsADirectoryError, NotADirectoryError) as error:
            raise WorkspaceBroken(name, f"{DEFINITION}: {reason_of(error)}") from error
        except OSError:
            if is_new:
                with suppress(OSError):
                    os.rmdir(name, dir_fd=self._root.fd)
            raise
        if is_new:
            # Even if the folder was there: a write that failed may have left it, its name not yet on disk.
            os.fsync(self._root.fd)
        return signature

    def _write_bundle(self, name: str, bundle: bytes) -> None:
        if not is_workspace_name(name) or not files.exists(f"{name}/{DEFINITION}", folder=self._root.fd):
            raise FileNotFoundError(errno.ENOENT, "there is no such workspace")
        with files.open_folder(name, parent=self._root.fd) as folder:
            self._replacer.replace(BUNDLE, bundle, folder=folder, durable=False)

    def _delete(self, name: str) -> bool:
        if not is_workspace_name(name) or not files.exists(f"{name}/{DEFINITION}", folder=self._root.fd):
            return False
        try:
            with files.open_folder(name, parent=self._root.fd) as folder:
                # The truth goes first: after a crash here there is a folder without a workspace, never half of one.
                files.remove(DEFINITION, folder=folder)
                os.fsync(folder)
                files.remove(BUNDLE, folder=folder)
                self._replacer.remove_leftovers(folder=folder)
        except (IsADirectoryError, NotADirectoryError) as error:
            raise WorkspaceBroken(name, f"{DEFINITION}: {reason_of(error)}") from error
        with suppress(OSError):  # somebody keeps something of their own in it
            os.rmdir(name, dir_fd=self._root.fd)
        return True
