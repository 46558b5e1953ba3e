"""A volume that does not answer: known without waiting for it, and forgotten when it does."""

import asyncio

import pytest

from service.errors import VolumeUnavailable
from service.storage.watch import VolumeWatch
from tests.integration.faults import until


class _Disk:
    """Answers when it is told to, and then with what it is told."""

    def __init__(self) -> None:
        self.asked = 0
        self.look: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def check(self) -> "asyncio.Future[None]":
        self.asked += 1
        self.look = asyncio.get_running_loop().create_future()
        return self.look


def _is_lost(watch: VolumeWatch) -> bool:
    try:
        watch.check()
    except VolumeUnavailable:
        return True
    return False


async def test_a_volume_that_does_not_answer_cannot_be_read_until_it_does() -> None:
    disk = _Disk()
    watch = VolumeWatch(disk, every_s=0, answer_s=0.01)
    async with watch.running():
        watch.check()
        await until(lambda: _is_lost(watch))
        with pytest.raises(VolumeUnavailable, match="it does not answer"):
            watch.check()
        assert disk.asked == 1
        disk.look.set_result(None)
        await until(lambda: disk.asked == 2)
        watch.check()
        disk.look.set_exception(OSError(5, "Input/output error"))
        await until(lambda: disk.asked == 3)
        with pytest.raises(VolumeUnavailable, match=r"Input/output error\."):
            watch.check()
        disk.look.set_exception(ValueError("nobody foresaw this"))
        await until(lambda: disk.asked == 4)
