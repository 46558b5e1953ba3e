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
from collections.abc import AsyncGenerator, Awaitable, Coroutine, Generator
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
        "function", "generators", "inline_source", "main", "number", "run_id", "rung", "started", "tasks",
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
        self.rung = False
        """The alarm has rung for this run, after it had expired, where it could not be interrupted."""
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


@types.coroutine
def _steps(coroutine: Coroutine[Any, Any, Any], run: RunState) -> Generator[Any, Any, Any]:
    """Announces the run before each step of a coroutine, and lets a deadline stop it for good.

    First it wants to be sent the task that it becomes. A cancellation of an expired run arrives as what cannot be
    caught. What ends a run stays within it: `RunExpired` leaves as a cancellation, since another run may be waiting
    for this task, and an exit as an error, since asyncio would end the loop for it.
    """
    task = yield
    send = coroutine.send
    value = yielded = thrown = None
    try:
        while True:
            try:
                value = yield yielded
            except BaseException as error:  # noqa: BLE001  # whatever it is, it is for the coroutine
                thrown = RunExpired() if run.expired and not isinstance(error, GeneratorExit) else error
            # Not held on to: it may be a future with a large result.
            yielded = None
            if run.abandoned:
                _graveyard.append(coroutine)
                raise asyncio.CancelledError
            outer = RUNNING.run
            RUNNING.run = run
            try:
                yielded = send(value) if thrown is None else coroutine.throw(thrown)
            except StopIteration as stop:
                return stop.value
            except RunExpired:
                raise asyncio.CancelledError from None
            except (SystemExit, KeyboardInterrupt) as error:
                raise RuntimeError(f"{type(error).__name__} in a task") from error
            finally:
                RUNNING.run = outer
                thrown = None
    finally:
        run.tasks.discard(task)
        task = None  # it may keep an exception, and that this frame


async def _task(steps: Awaitable[Any]) -> Any:
    """What a task is made of: asyncio takes nothing but coroutines, and steps them without a call of ours."""
    return await steps


# The `repr` of a task shows what it is made of, and where that is.
_task.__code__ = _task.__code__.replace(co_filename="<skep>", co_name="task", co_firstlineno=1)
_task.__name__ = _task.__qualname__ = "task"

_graveyard: Final[list[Coroutine[Any, Any, Any]]] = []
"""Coroutines that had their chance. Kept, because collecting one would run its clean-up after all."""


_Task: Final = asyncio.Task
_Coroutine: Final = types.CoroutineType


def task_factory(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> "asyncio.Task[Any]":
    """Every task that tenant code starts belongs to the run that started it.

    Raises: RunExpired in a run that is being unwound, RuntimeError where no run is, TypeError for what only looks like
    a coroutine: its `throw` could do as it likes.
    """
    run = RUNNING.run
    if type(coroutine) is not _Coroutine and not _is_marked(coroutine):
        raise TypeError(f"a coroutine is needed, not {type(coroutine).__name__}")
    if run is None or run.expired:
        coroutine.close()
        if run is None:
            raise RuntimeError("there is no run that this task could belong to")
        raise RunExpired
    return _start_task(loop, coroutine, run, options)


def spawn(coroutine: Coroutine[Any, Any, Any], run: RunState) -> "asyncio.Task[Any]":
    """Start a task of a run from the worker's own code, also one that unwinds it."""
    return _start_task(asyncio.get_running_loop(), coroutine, run, {})


def _start_task(
    loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], run: RunState, options: dict[str, Any]
) -> "asyncio.Task[Any]":
    steps = _task(_steps(coroutine, run))
    send = steps.send
    send(None)
    if options:
        options.pop("eager_start", None)  # the first step is for the loop to take, like any other
        task: asyncio.Task[Any] = _Task(steps, loop=loop, **options)
    else:
        task = _Task(steps, loop=loop)
    run.tasks.add(task)
    send(task)
    return task


def _is_marked(value: object) -> bool:
    """Whether this is a generator that is marked as a coroutine: asyncio wraps other awaitables in those."""
    return isinstance(value, types.GeneratorType) and bool(value.gi_code.co_flags & inspect.CO_ITERABLE_COROUTINE)


def adopt_generator(generator: AsyncGenerator[Any, Any]) -> None:
    """An async generator that began in a run is closed with it, never by the loop on nobody's behalf."""
    if RUNNING.run is not None:
        RUNNING.run.generators.add(generator)


def abandon_generator(generator: AsyncGenerator[Any, Any]) -> None:
    """The collector found an unfinished async generator; close it on behalf of whoever is running."""
    run = RUNNING.run
    if run is not None and not run.expired:
        spawn(_close_later(generator), run)


async def _close_later(generator: AsyncGenerator[Any, Any]) -> None:
    try:
        # asyncio takes one turn to start the task that closes; programs can see in which order things are said.
        await asyncio.sleep(0)
    finally:
        await generator.aclose()
