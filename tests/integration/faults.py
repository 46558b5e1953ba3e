"""What the tests of faults share: limits on running processes, a disk that can be filled, counts, conditions."""

import asyncio
import os
import resource
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.skep import Answer, Client, Skep, children, name

PATIENCE_S = 10


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.005)


async def until_status(client: Client, path: str, status: int) -> Answer:
    """Ask until the answer has this status."""
    end = time.monotonic() + PATIENCE_S
    while (answer := await client.call("GET", path)).status != status:
        assert time.monotonic() < end, answer.body
        await asyncio.sleep(0.01)
    return answer


@contextmanager
def limited(pid: int, what: int, most: int) -> Iterator[None]:
    """A soft limit of another process of this user."""
    before = resource.prlimit(pid, what)
    resource.prlimit(pid, what, (most, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, what, before)


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def zygotes(skep: Skep) -> list[int]:
    """Those that are alive; there are never two."""
    found = [pid for pid in children(skep.pid) if name(pid) != "skep-worker"]
    assert len(found) <= 1, found
    return found


async def counts(client: Client) -> dict[str, float]:
    """The samples of GET /metrics without a label of a workspace."""
    text = (await client.call("GET", "/metrics")).body.decode()
    pairs = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {sample: float(value) for sample, value in pairs}


def assert_unavailable(answer: Answer, *words: str) -> None:
    """A 503 with a sentence that has these words, and a hint when to come back."""
    assert (answer.status, answer.body["error"]) == (503, "ServiceUnavailable"), answer.body
    assert int(answer.headers["Retry-After"]) >= 1
    for word in words:
        assert word in answer.body["message"], answer.body


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own, where one can be mounted."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k,mode=0700", "skep-test", str(folder)]
    mounted = subprocess.run(command, check=False, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(disk: Path) -> Path:
    """Leave no byte free. Returns the file that takes the room."""
    filler = disk / ".filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(os.sysconf("SC_PAGESIZE")))
        except OSError:
            return filler
