"""What a hostile program must not touch, and the means to see that it did not."""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.skep import state

_SLEEPER: Final = """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
print(flush=True)
input()
"""


@dataclass(frozen=True)
class Canary:
    """A process that blocks every signal: one that was sent stays visible. And a folder and a socket."""

    process: subprocess.Popen[bytes]
    folder: Path
    socket_name: str
    listener: socket.socket
    secret: str

    def harm(self) -> list[str]:
        """What has happened to it; nothing, it is hoped."""
        found = []
        if self.process.poll() is not None:
            found.append(f"the canary ended with {self.process.returncode}")
        else:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
            pending = [line for line in status.splitlines() if line.startswith(("SigPnd", "ShdPnd"))]
            found += [line for line in pending if int(line.split()[1], 16)]
        with contextlib.suppress(BlockingIOError):
            self.listener.accept()[0].close()
            found.append("somebody has connected to the canary's socket")
        return found


@contextmanager
def canary(folder: Path, *, python: str, user: int | None) -> Iterator[Canary]:
    """A canary that this user runs (None: whoever runs the tests)."""
    folder.mkdir()
    for name in ("one", "two"):
        (folder / name).write_text("untouched")
        (folder / name).chmod(0o666)
    (folder / "inner").mkdir()
    for path in (folder, folder / "inner"):
        path.chmod(0o777)
    process = subprocess.Popen(
        [python, "-I", "-S", "-c", _SLEEPER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, user=user
    )
    name = f"skep-canary-{secrets.token_hex(8)}"
    with process, socket.socket(socket.AF_UNIX) as listener:
        assert process.stdout is not None
        process.stdout.readline()
        listener.bind(f"\0{name}")
        listener.listen(1)
        listener.setblocking(False)
        try:
            yield Canary(process, folder, name, listener, secrets.token_hex(16))
        finally:
            process.kill()


def snapshot(folder: Path) -> dict[str, tuple[object, ...]]:
    """Everything about the files of a folder but when they were read."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted([folder, *folder.rglob("*")]):
        about = path.lstat()
        extra = tuple((name, os.getxattr(path, name, follow_symlinks=False)) for name in _xattrs(path))
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        kept = (about.st_mode, about.st_nlink, about.st_uid, about.st_gid, about.st_mtime_ns, about.st_ino)
        found[str(path.relative_to(folder))] = (*kept, extra, content)
    return found


def _xattrs(path: Path) -> list[str]:
    try:
        return os.listxattr(path, follow_symlinks=False)
    except OSError:
        return []


def marked(mark: str) -> list[int]:
    """Live processes that have this word in their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if mark.encode() in path.read_bytes() and state(int(path.parent.name)) not in {"Z", None}:
                found.append(int(path.parent.name))
    return sorted(found)


def until_nothing_is_left(mark: str, *, seconds: float = 5.0) -> list[int]:
    """Wait for the end of these processes. Returns, and ends, those that would not go by themselves."""
    until = time.monotonic() + seconds
    while (left := marked(mark)) and time.monotonic() < until:
        time.sleep(0.02)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return left
