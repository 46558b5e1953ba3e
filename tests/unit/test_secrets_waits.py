"""What setting a secret waits for, and what it does not."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from service.database.audit import Actor
from service.database.database import Database
from service.database.sealing_keys import SealingKeys, key_path
from service.database.secrets import Secrets
from service.errors import WorkspaceNotFound

WHO = Actor("test", "")


async def test_a_secret_is_set_while_the_threads_that_all_share_are_busy(tmp_path: Path) -> None:
    database = Database(tmp_path / "skep.db")
    await database.open()
    may_end = Event()
    busy = ThreadPoolExecutor(1)
    asyncio.get_running_loop().set_default_executor(busy)
    busy.submit(may_end.wait)
    try:
        secrets = Secrets(database, SealingKeys((), key_path(database.path)))
        async with asyncio.timeout(10):
            await secrets.reload(None)
            await secrets.set(WHO, "a", "NAME", "a value of some length")
            await secrets.reload("a")
        assert [name for name, _ in await secrets.listed(WHO, "a")] == ["NAME"]
    finally:
        may_end.set()
        await database.close()


async def test_what_the_check_refuses_when_it_is_our_turn_is_not_set(tmp_path: Path) -> None:
    database = Database(tmp_path / "skep.db")
    await database.open()
    try:
        secrets = Secrets(database, SealingKeys((), key_path(database.path)))
        await secrets.reload(None)

        def gone() -> None:
            raise WorkspaceNotFound("a")

        with pytest.raises(WorkspaceNotFound):
            await secrets.set(WHO, "a", "NAME", "a value of some length", check=gone)
        assert await database.rows("SELECT 1 FROM secrets") == []
    finally:
        await database.close()
