"""One run inside a worker: whose code is executing right now, and how the run is unwound when its time is up.

The worker executes one piece of tenant code at a time. `RUNNING.run` says on behalf of which run; every task that run
starts, directly or not, is wrapped so that this stays true across each `await`. Deadlines, logs and limits all hang on
that one attribution, which no tenant object can change.
"""

import asyncio
import inspect
import time
import types
import weakref
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from typing import Any, Final

from sandbox.console import Console
from sandbox.expired import RunExpired
from sandbox.fetches import RunFetches

CLEAN_UP_S: Final = 0.5
"""So long what waits may clean up after its run has expired, a step at a time; then it is left where it is."""


class RunState:
    """One run from its first instruction until nothing of it is left."""

    __slots__ = (
        "__weakref__", "abandoned", "answered", "console", "deadline", "expired", "expired_at", "fetches",
        "function", "generators", "inline_source", "main", "number", "run_id", "started", "tasks",
    )  # fmt: skip

    def __init__(self, *, number: int, run_id: str, function: str, timeout_ms: int, console: Console) -> None:
        self.number = number
        self.run_id = run_id
        self.function = function
        self.inline_source: str | None = None
        """The body of an inline run; nobody else's traceback may show its lines."""
        self.started = time.perf_counter()
        self.deadline = time.monotonic() + timeout_ms / 1000
        self.console = console
        self.expired = False
        """Once true, an exception raises in this run at every chance until it is gone."""
        self.expired_at = 0.0
        self.abandoned = False
        """Once true, what still waits is not given another step, not even to clean up."""
        self.answered = False
        self.fetches: RunFetches | None = None
        """From its first fetch on."""
        self.main: asyncio.Task[Any] | None = None
        self.tasks: set[asyncio.Task[Any]] = set()
        self.generators: weakref.WeakSet[AsyncGenerator[Any, Any]] = weakref.WeakSet()

    def duration_us(self) -> int:
        """Time since the run's first instruction."""
        return int((time.perf_counter() - self.started) * 1_000_000)

    def expire(self) -> None:
        """From now on the run is unwound."""
        if not self.expired:
            # First: if there is no memory for it, the alarm comes back; a run that is not in it would not be checked.
            EXPIRED.append(self)
            self.expired = True
            self.expired_at = time.monotonic()

    def cancel_tasks(self) -> None:
        """Throw into everything of this run that waits; `Attributed` turns that into `RunExpired`."""
        if time.monotonic() - self.expired_at > CLEAN_UP_S:
            self.abandoned = True
            self.generators.clear()
        for task in tuple(self.tasks):
            task.cancel()
        if not self.tasks:
            for generator in tuple(self.generators):
                self.generators.discard(generator)
                spawn(generator.aclose(), self)

    def is_over(self) -> bool:
        """Whether nothing of the run is left in the loop."""
        return not self.tasks and not self.generators


EXPIRED: Final[list[RunState]] = []
"""The runs that are being unwound. Tenant code checks whether its own is among them only if there is any."""


class Running:
    """Whose code executes right now; None while the worker's own does."""

    __slots__ = ("run",)

    def __init__(self) -> None:
        self.run: RunState | None = None


RUNNING: Final = Running()


class Attributed(Coroutine[Any, Any, Any]):
    """A coroutine that announces its run before each step, and that a deadline stops for good.

    What ends a run stays within it: `RunExpired` leaves as a cancellation, since another run may be waiting for this
    task, and an exit as an error, since asyncio would end the loop for it.
    """

    __slots__ = ("__name__", "__qualname__", "_coroutine", "_run")

    def __init__(self, coroutine: Coroutine[Any, Any, Any], run: RunState) -> None:
        self._coroutine = coroutine
        self._run = run
        self.__name__ = self.__qualname__ = "task"

    def send(self, value: Any) -> Any:
        """One step on behalf of the run."""
        return self._step(self._coroutine.send, value)

    def throw(self, *error: Any) -> Any:
        """Throw on behalf of the run; a cancellation of an expired run arrives as what cannot be caught."""
        if self._run.expired:
            error = (RunExpired(),)
        return self._step(self._coroutine.throw, *error)

    def close(self) -> None:
        """Close on behalf of the run."""
        self._step(self._coroutine.close)

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._coroutine.__await__()

    def _step(self, step: Callable[..., Any], *args: Any) -> Any:
        if self._run.abandoned:
            _graveyard.append(self._coroutine)
            raise asyncio.CancelledError
        outer, RUNNING.run = RUNNING.run, self._run
        try:
            return step(*args)
        except RunExpired:
            raise asyncio.CancelledError from None
        except (SystemExit, KeyboardInterrupt) as error:
            raise RuntimeError(f"{type(error).__name__} in a task") from error
        finally:
            RUNNING.run = outer


_graveyard: Final[list[Coroutine[Any, Any, Any]]] = []
"""Coroutines that had their chance. Kept, because collecting one would run its clean-up after all."""


def task_factory(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> "asyncio.Task[Any]":
    """Every task that tenant code starts belongs to the run that started it.

    Raises: RunExpired in a run that is being unwound, RuntimeError where no run is, TypeError for what only looks like
    a coroutine: its `throw` could do as it likes.
    """
    run = RUNNING.run
    if not _is_coroutine(coroutine):
        raise TypeError(f"a coroutine is needed, not {type(coroutine).__name__}")
    if run is None or run.expired:
        coroutine.close()
        if run is None:
            raise RuntimeError("there is no run that this task could belong to")
        raise RunExpired
    return _start_task(loop, coroutine, run, **options)


def spawn(coroutine: Coroutine[Any, Any, Any], run: RunState) -> "asyncio.Task[Any]":
    """Start a task of a run from the worker's own code, also one that unwinds it."""
    return _start_task(asyncio.get_running_loop(), coroutine, run)


def _start_task(
    loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], run: RunState, **options: Any
) -> "asyncio.Task[Any]":
    task = asyncio.Task(Attributed(coroutine, run), loop=loop, **options)
    run.tasks.add(task)
    task.add_done_callback(run.tasks.discard)
    return task


def _is_coroutine(value: object) -> bool:
    if type(value) is types.CoroutineType:
        return True
    # asyncio wraps other awaitables in generators that are marked as coroutines.
    return isinstance(value, types.GeneratorType) and bool(value.gi_code.co_flags & inspect.CO_ITERABLE_COROUTINE)


def adopt_generator(generator: AsyncGenerator[Any, Any]) -> None:
    """An async generator that began in a run is closed with it, never by the loop on nobody's behalf."""
    if RUNNING.run is not None:
        RUNNING.run.generators.add(generator)


def abandon_generator(generator: AsyncGenerator[Any, Any]) -> None:
    """The collector found an unfinished async generator; close it on behalf of whoever is running."""
    run = RUNNING.run
    if run is not None and not run.expired:
        spawn(generator.aclose(), run)
