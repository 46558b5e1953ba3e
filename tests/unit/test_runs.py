"""Tasks of a run: whose step it is, what ends them, and what they leave behind."""

import asyncio
import gc
import weakref
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, cast

import pytest

from sandbox.expired import RunExpired
from sandbox.runs import EXPIRED, RUNNING, RunState, spawn, task_factory

Loop = asyncio.AbstractEventLoop


def make_run() -> RunState:
    return RunState(number=1, run_id="x", function="f", timeout_ms=60_000, console=cast("Any", None))


@pytest.fixture
def loop() -> Iterator[Loop]:
    """As a worker has it."""
    loop = asyncio.new_event_loop()
    loop.set_task_factory(task_factory)
    yield loop
    loop.close()
    EXPIRED.clear()


def finish(loop: Loop, main: Callable[[RunState], Coroutine[Any, Any, Any]]) -> Any:
    """What a coroutine of a run returns."""
    run = make_run()

    async def follow() -> Any:
        return await spawn(main(run), run)

    return loop.run_until_complete(asyncio.Task(follow(), loop=loop))


def test_every_step_of_a_task_is_its_runs_and_nothing_else_is(loop: Loop) -> None:
    seen: list[RunState | None] = []

    async def main(run: RunState) -> RunState:
        async def child() -> None:
            for _ in range(3):
                seen.append(RUNNING.run)
                await asyncio.sleep(0)

        asyncio.get_running_loop().call_soon(lambda: seen.append(RUNNING.run))
        await asyncio.gather(child(), child())
        return run

    run = finish(loop, main)
    assert RUNNING.run is None
    assert seen.count(None) == 1
    assert seen.count(run) == 6
    assert not run.tasks


def test_a_task_that_is_cancelled_before_its_first_step_is_forgotten(
    loop: Loop,
) -> None:
    async def main(run: RunState) -> int:
        async def child() -> None:
            raise AssertionError

        task = asyncio.create_task(child())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return len(run.tasks)

    assert finish(loop, main) == 1  # itself


def test_a_task_that_failed_is_gone_without_the_collector(loop: Loop) -> None:
    async def main(_run: RunState) -> object:
        async def child() -> None:
            await asyncio.sleep(0)
            raise ValueError

        task = asyncio.create_task(child())
        await asyncio.wait([task])
        assert type(task.exception()) is ValueError
        return weakref.ref(task)

    gc.disable()
    try:
        assert finish(loop, main)() is None
    finally:
        gc.enable()


def test_the_end_of_a_run_cannot_be_caught_and_leaves_a_task_as_a_cancellation(
    loop: Loop,
) -> None:
    caught: list[type[BaseException]] = []

    async def main(run: RunState) -> bool:
        async def child() -> None:
            try:
                await asyncio.sleep(60)
            except BaseException as error:
                caught.append(type(error))
                raise

        task = asyncio.create_task(child())
        await asyncio.sleep(0)
        run.expire()
        assert [run] == EXPIRED
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert finish(loop, main)
    assert caught == [RunExpired]


def test_an_abandoned_task_is_given_no_further_step(loop: Loop) -> None:
    cleaned_up: list[bool] = []
    run = make_run()

    async def child() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            cleaned_up.append(True)

    async def outside() -> bool:
        task = spawn(child(), run)
        await asyncio.sleep(0)
        run.expire()
        run.abandoned = True
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert loop.run_until_complete(asyncio.Task(outside(), loop=loop))
    gc.collect()
    assert not cleaned_up
    assert not run.tasks


def test_an_exit_in_a_task_is_an_error_of_that_task(loop: Loop) -> None:
    async def main(_run: RunState) -> str:
        async def child() -> None:
            raise SystemExit(3)

        task = asyncio.create_task(child())
        await asyncio.wait([task])
        return repr(task.exception())

    assert finish(loop, main) == "RuntimeError('SystemExit in a task')"


def test_a_task_shows_nothing_of_what_is_around_it(loop: Loop) -> None:
    async def main(_run: RunState) -> str:
        task = asyncio.create_task(asyncio.sleep(0))
        await asyncio.sleep(0)
        shown = repr(task)
        await task
        return shown + repr(task)

    shown = finish(loop, main)
    assert "task()" in shown
    assert "runs.py" not in shown
