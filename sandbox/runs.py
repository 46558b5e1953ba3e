"""One run inside a worker: whose code is executing right now, and how the run is unwound when its time is up.

The worker executes one piece of tenant code at a time. `RUNNING.run` says on behalf of which run; every task that run
starts, directly or not, is wrapped so that this stays true across each `await`. Deadlines, logs and limits all hang on
that one attribution, which no tenant object can change.
"""

import asyncio
import time
import weakref
from collections.abc import AsyncGenerator, Coroutine, Generator
from typing import Any, Final

from sandbox.console import Console


class RunExpired(BaseException):
    """The deadline of a run has passed, or nobody waits for it any more. Tenant code cannot catch it: the compiler
    puts a handler that lets it through in front of every handler of theirs.
    """


class RunState:
    """One run from its first instruction until nothing of it is left."""

    __slots__ = (
        "__weakref__", "answered", "console", "deadline", "expired", "function", "generators", "main", "number",
        "run_id", "started", "tasks",
    )  # fmt: skip

    def __init__(self, *, number: int, run_id: str, function: str, timeout_ms: int, console: Console) -> None:
        self.number = number
        self.run_id = run_id
        self.function = function
        self.started = time.perf_counter()
        self.deadline = time.monotonic() + timeout_ms / 1000
        self.console = console
        self.expired = False
        """Once true, an exception raises in this run at every chance until it is gone."""
        self.answered = False
        self.main: asyncio.Task[Any] | None = None
        self.tasks: set[asyncio.Task[Any]] = set()
        self.generators: weakref.WeakSet[AsyncGenerator[Any, Any]] = weakref.WeakSet()

    def duration_us(self) -> int:
        """Time since the run's first instruction."""
        return int((time.perf_counter() - self.started) * 1_000_000)

    def cancel_tasks(self) -> None:
        """Throw into everything of this run that waits; `Attributed` turns that into `RunExpired`."""
        for task in tuple(self.tasks):
            task.cancel()
        if not self.tasks:
            for generator in tuple(self.generators):
                self.generators.discard(generator)
                spawn(generator.aclose(), self)

    def is_over(self) -> bool:
        """Whether nothing of the run is left in the loop."""
        return not self.tasks and not self.generators


class Running:
    """Whose code executes right now; None while the worker's own does."""

    __slots__ = ("run",)

    def __init__(self) -> None:
        self.run: RunState | None = None


RUNNING: Final = Running()


class Attributed(Coroutine[Any, Any, Any]):
    """A coroutine that announces its run before each step, and that a deadline stops for good."""

    __slots__ = ("__name__", "__qualname__", "_coroutine", "_run")

    def __init__(self, coroutine: Coroutine[Any, Any, Any], run: RunState) -> None:
        self._coroutine = coroutine
        self._run = run
        self.__name__ = self.__qualname__ = getattr(coroutine, "__name__", "task")

    def send(self, value: Any) -> Any:
        """One step on behalf of the run."""
        outer, RUNNING.run = RUNNING.run, self._run
        try:
            return self._coroutine.send(value)
        except (SystemExit, KeyboardInterrupt) as error:
            # asyncio would end the loop for these, and with it every other run.
            raise RuntimeError(f"{type(error).__name__} in a task") from error
        finally:
            RUNNING.run = outer

    def throw(self, *error: Any) -> Any:
        """Throw on behalf of the run; a cancellation of an expired run arrives as what cannot be caught."""
        outer, RUNNING.run = RUNNING.run, self._run
        try:
            if self._run.expired:
                return self._coroutine.throw(RunExpired())
            return self._coroutine.throw(*error)
        finally:
            RUNNING.run = outer

    def close(self) -> None:
        """Close on behalf of the run."""
        outer, RUNNING.run = RUNNING.run, self._run
        try:
            self._coroutine.close()
        finally:
            RUNNING.run = outer

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._coroutine.__await__()


def task_factory(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> "asyncio.Task[Any]":
    """Every task that tenant code starts belongs to the run that started it."""
    run = RUNNING.run
    if run is None:
        return asyncio.Task(coroutine, loop=loop, **options)
    task = asyncio.Task(Attributed(coroutine, run), loop=loop, **options)
    run.tasks.add(task)
    task.add_done_callback(run.tasks.discard)
    return task


def spawn(coroutine: Coroutine[Any, Any, Any], run: RunState) -> "asyncio.Task[Any]":
    """Start a task of a run from the worker's own code."""
    outer, RUNNING.run = RUNNING.run, run
    try:
        return asyncio.get_running_loop().create_task(coroutine)
    finally:
        RUNNING.run = outer


def adopt_generator(generator: AsyncGenerator[Any, Any]) -> None:
    """An async generator that began in a run is closed with it, never by the loop on nobody's behalf."""
    if RUNNING.run is not None:
        RUNNING.run.generators.add(generator)


def abandon_generator(generator: AsyncGenerator[Any, Any]) -> None:
    """The collector found an unfinished async generator; close it on behalf of whoever is running."""
    if RUNNING.run is not None:
        spawn(generator.aclose(), RUNNING.run)
