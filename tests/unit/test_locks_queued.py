"""Within one service, who waits for a workspace's lock does not look for it all the time."""

import asyncio
from pathlib import Path

import pytest

from service.storage.locks import Lock
from service.storage.workspaces import Volume


async def test_one_at_a_time_looks_for_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    attempt = Lock.attempt

    def counted(lock: Lock, root: int) -> bool:
        nonlocal looks
        looks += 1
        return attempt(lock, root)

    monkeypatch.setattr(Lock, "attempt", counted)
    volume = Volume(dirpath=tmp_path / "functions", document_max_bytes=1000)
    await volume.open()
    inside = 0

    async def change() -> None:
        nonlocal inside
        async with volume.locked("a"):
            inside += 1
            assert inside == 1
            await volume.names(after=None, limit=1)
            inside -= 1

    try:
        await asyncio.gather(*(change() for _ in range(50)))
    finally:
        await volume.close()
    assert looks == 50
