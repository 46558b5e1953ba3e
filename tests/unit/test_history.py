"""The history without a service: what is kept, what is dropped, and what it costs a run."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from service.database.database import Database
from service.domain.outcome import Raised, Returned, TimedOut
from service.domain.record import Summary
from service.http.problems import failure_json
from service.ids import new_id
from service.usecases import history as module
from service.usecases import retention
from service.usecases.history import History

RETURNED = Returned(b'{"a":1}', (), 0.5)


@asynccontextmanager
async def opened(path: Path, *, days: int = 7, rows: int = 1000) -> AsyncIterator[History]:
    database = Database(path / "skep.db")
    await database.open()
    history = History(
        database, is_kept=True, result_max_bytes=1000, logs_max_bytes=1000,
        retention_of=lambda _workspace: (days, rows), envelope=failure_json,
    )  # fmt: skip
    try:
        async with history.running():
            yield history
    finally:
        await database.close()


async def listed(history: History, workspace: str) -> list[Summary]:
    return [run for _, run in await history.page(workspace, function=None, status=None, before=None, limit=10_000)]


async def test_what_comes_while_a_batch_is_written_is_written_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as history:
        write, late = history._insert, new_id()
        loop = asyncio.get_running_loop()
        recorded = asyncio.Event()

        def come_late() -> None:
            history.record(late, "w", "late", RETURNED)
            recorded.set()

        def insert(connection: sqlite3.Connection) -> None:
            monkeypatch.setattr(history, "_insert", write)
            loop.call_soon_threadsafe(come_late)
            write(connection)

        monkeypatch.setattr(history, "_insert", insert)
        for _ in range(module.BATCH_MAX + 1):
            history.record(new_id(), "w", "f", RETURNED)
        await recorded.wait()
        async with asyncio.timeout(5):
            while history.written < module.BATCH_MAX + 2:
                await listed(history, "w")
        assert history.state().waiting == 0


async def test_records_are_listed_in_the_order_in_which_they_came_whoever_made_their_ids(tmp_path: Path) -> None:
    ids = [f"{number:032x}" for number in (5, 3, 9, 1)]
    async with opened(tmp_path) as history:
        for run_id in ids:
            history.record(run_id, "w", "f", RETURNED)
        assert [run.id for run in await listed(history, "w")] == ids[::-1]


async def test_what_is_left_at_the_end_is_written(tmp_path: Path) -> None:
    async with opened(tmp_path) as history:
        for _ in range(module.BATCH_MAX * 3):
            history.record(new_id(), "w", "f", RETURNED)
    async with opened(tmp_path) as history:
        assert len(await listed(history, "w")) == module.BATCH_MAX * 3


async def test_what_has_no_room_in_memory_is_dropped_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_MAX", 2)
    monkeypatch.setattr(module, "BATCHES_MAX", 2)
    monkeypatch.setattr(module, "BATCH_MAX_BYTES", 100)
    ids = [new_id() for _ in range(7)]
    async with opened(tmp_path) as history:
        for run_id in ids:
            history.record(run_id, "w", "f", RETURNED)
        assert (history.state().waiting, history.dropped) == (5, 2)
        assert [run.id for run in await listed(history, "w")] == [ids[6], *ids[3::-1]]
        for _ in range(3):
            history.record(new_id(), "w", "f", Returned(b'"' + b"x" * 99 + b'"', (), 0.5))
            history.record(new_id(), "w", "f", Raised("E", "x" * 60, "f", 1, "y" * 60, (), 0.5))
        assert (history.state().waiting, history.dropped) == (2, 6)
    monkeypatch.setattr(module, "BATCHES_MAX", 40)
    monkeypatch.setattr(module, "BYTES_MAX", 250)
    async with opened(tmp_path) as history:
        for _ in range(4):
            history.record(new_id(), "v", "f", Returned(b'"' + b"x" * 99 + b'"', (), 0.5))
        assert (history.state().waiting, history.dropped) == (2, 2)


async def test_a_run_that_cannot_be_recorded_is_dropped_and_the_others_are_not(tmp_path: Path) -> None:
    async with opened(tmp_path) as history:
        history.record(new_id(), "w", "f", RETURNED)
        history.record(new_id(), "w", "f", RETURNED, 0.0, None, "\ud800")
        history.record(new_id(), "v", "f", RETURNED, 0.0, None, "\ud800")
        assert (len(await listed(history, "w")), history.dropped) == (1, 2)
        history.record(new_id(), "w", "\ud800", RETURNED)  # found out where it is written, with what is beside it
        await listed(history, "w")
        history.record(new_id(), "w", "f", RETURNED)
        assert (len(await listed(history, "w")), history.dropped) == (2, 3)
        assert history.state().waiting == 0


async def test_what_is_not_yet_written_is_found_as_it_will_be(tmp_path: Path) -> None:
    async with opened(tmp_path) as history:
        logged, failed = new_id(), new_id()
        history.record(logged, "w", "f", Returned(b"1", (b'"a"', b'"b"'), 0.5), 1.0, 3, "key")
        history.record(failed, "w", "f", Raised("E", "x", "f", 1, "y", (), 0.5))
        before = [await history.find("w", run_id) for run_id in (logged, failed)]
        assert None not in before
        assert await history.find("v", logged) is None
        await listed(history, "w")
        assert [await history.find("w", run_id) for run_id in (logged, failed)] == before


async def test_the_times_of_a_run_follow_from_its_end(tmp_path: Path) -> None:
    async with opened(tmp_path) as history:
        history.record("0" * 32, "w", "f", TimedOut(100, (), 100.0), waited_ms=40.0)
        history.record("1" * 32, "w", "f", None)
        (cancelled, ended) = await listed(history, "w")
        assert ended.started_ms is not None
        assert ended.finished_ms - ended.started_ms in {100, 101}
        assert ended.started_ms - ended.queued_ms in {40, 41}
        assert (cancelled.status, cancelled.started_ms, cancelled.duration_ms) == ("cancelled", None, None)


async def test_the_newest_runs_of_each_workspace_stay_and_the_others_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "STEP_GROUPS", 7)
    async with opened(tmp_path, rows=10) as history:
        kept = []
        for number in range(50):
            for workspace in ("large", "small"):
                if workspace == "large" or number < 5:
                    run_id = new_id()
                    history.record(run_id, workspace, "f", RETURNED if number % 3 else TimedOut(1, (), 1.0))
                    if workspace == "small" or number >= 40:
                        kept.append(run_id)
        await listed(history, "large")
        await history._retention.look(at_age=False)
        found = [run.id for workspace in ("large", "small") for run in await listed(history, workspace)]
        assert sorted(found) == sorted(kept)
        assert history.state().expired == 40


async def test_runs_that_are_too_old_go_and_take_the_workspace_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path, days=1) as history:
        with monkeypatch.context() as past:
            past.setattr("service.usecases.history.time.time", lambda: 1_700_000_000.0)
            history.record(new_id(), "old", "f", RETURNED)
            history.record(new_id(), "both", "f", RETURNED)
            await listed(history, "both")  # what is written together leaves together
        history.record(new_id(), "both", "f", RETURNED)
        assert len(await listed(history, "both")) == 2
        await history._retention.look(at_age=True)
        assert len(await listed(history, "both")) == 1
        assert not await history.has_any("old")
