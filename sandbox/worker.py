"""The loop inside a worker: load one workspace, then run what the service asks, many runs interleaved.

Everything is one thread and one asyncio loop. A message from the service starts a run at once, before the next message
is read; answers of one batch leave in one write. A body that cannot wait runs to its end right there, without a task.
"""

import asyncio
import contextlib
import contextvars
import os
import socket
from collections.abc import Callable, Coroutine
from typing import Any, assert_never

from sandbox import protocol
from sandbox.cache_calls import CacheCalls
from sandbox.console import Console
from sandbox.deadlines import Deadlines
from sandbox.endings import Ending, ending_of_error, ending_of_result
from sandbox.fetch import Fetch
from sandbox.fetches import Fetches
from sandbox.incoming import Incoming
from sandbox.outbox import Outbox
from sandbox.parameters import ParametersRefused
from sandbox.python import ownership
from sandbox.python.compiler import INLINE, CodeRefused
from sandbox.runs import (
    EXPIRED,
    RUNNING,
    RunState,
    abandon_generator,
    adopt_generator,
    spawn,
    task_factory,
)
from sandbox.shared_cache import SharedCache
from sandbox.workspace import Body, Refused, Workspace


class Worker:
    """One workspace, and the runs in it."""

    def __init__(self, connection: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        self._incoming = Incoming(connection, loop, self._take_arrived)
        self._outbox = Outbox(connection, loop)
        self._deadlines = Deadlines(self._outbox, lambda run: loop.call_soon_threadsafe(self._unwind, run))
        self._fetches = Fetches(self._outbox, loop)
        self._cache_calls = CacheCalls(self._incoming, self._outbox)
        self._runs: dict[int, RunState] = {}
        self._workspace: Workspace | None = None
        self._result_max_bytes = 0
        self._logs_max_bytes = 0

    def open(self) -> None:
        """Be ready for the first alarm."""
        self._deadlines.install()

    def read(self) -> None:
        """Take what has arrived and start it. Ends the process when the service is gone."""
        try:
            self._incoming.read()
        except BaseException:  # noqa: BLE001  # a worker that cannot keep its protocol must not go on half-way
            os._exit(1)
        self._take_arrived()

    def _take_arrived(self) -> None:
        """An operation on the cache that one of these does on the way may add to them, and takes nothing of them."""
        arrived = self._incoming.arrived
        try:
            while arrived:
                self._take(arrived.popleft())
            self._outbox.flush()
        except BaseException:  # noqa: BLE001  # as above
            os._exit(1)

    def _take(self, message: protocol.Downward) -> None:
        match message:
            case protocol.Run():
                self._start(message)
            case protocol.RunInline():
                self._start_inline(message)
            case protocol.Cancel(run=number):
                self._cancel(number)
            case protocol.Fetched() | protocol.FetchFailed():
                self._fetches.answer(message)
            case protocol.Load():
                self._load(message)
            case protocol.CacheAnswer():
                raise protocol.ProtocolError("an answer that was not kept")
            case _ as unreachable:
                assert_never(unreachable)

    def _load(self, request: protocol.Load) -> None:
        self._result_max_bytes = request.result_max_bytes
        self._logs_max_bytes = request.logs_max_bytes
        self._fetches.limits = request.fetches
        self._cache_calls.max_bytes = request.cache_max_bytes
        cache = SharedCache(self._cache_calls) if request.shared_cache else None
        self._workspace = Workspace(request, Fetch(self._fetches), cache)
        try:
            bundle = self._workspace.load()
        except Refused as refused:
            self._outbox.put(protocol.NotLoaded(errors=refused.errors, problems=refused.problems))
            self._outbox.flush_all()
            os._exit(0)
        self._outbox.put(protocol.Loaded(bundle=bundle))

    # A run begins with its RunState and ends in `_finish`, once, on every way.

    def _start(self, request: protocol.Run) -> None:
        function = self._loaded.functions[request.function]
        run = self._open_run(request, function.name)
        try:
            parameters, arguments = function.signature.bind_json(request.parameters)
        except ParametersRefused as refused:
            self._refuse(run, protocol.BadParameters(run=run.number, problems=refused.problems))
            return
        except (MemoryError, RecursionError) as error:
            self._answer(run, self._ending(run, None, error))
            return
        self._begin(run, function.body, parameters, arguments, suspends=function.suspends)

    def _start_inline(self, request: protocol.RunInline) -> None:
        run = self._open_run(request, INLINE)
        run.inline_source = request.code
        try:
            body, parameters, arguments = self._loaded.inline(request.code, request.parameters)
        except CodeRefused as refused:
            self._refuse(run, protocol.NotCompiled(run=run.number, errors=refused.errors))
            return
        except ParametersRefused as refused:
            self._refuse(run, protocol.BadParameters(run=run.number, problems=refused.problems))
            return
        except (MemoryError, RecursionError) as error:
            self._answer(run, self._ending(run, None, error))
            return
        self._begin(run, body, parameters, arguments, suspends=True)

    def _begin(
        self, run: RunState, body: Body, parameters: dict[str, Any], arguments: list[Any], *, suspends: bool
    ) -> None:
        coroutine = body(parameters, *arguments)
        if suspends:
            run.main = spawn(self._follow(run, coroutine), run)
            return
        result: object = None
        failure: BaseException | None = None
        RUNNING.run = run
        try:
            try:
                # A context of its own, as a task has: decimal's settings and the like stay with the run.
                contextvars.copy_context().run(coroutine.send, None)
            except StopIteration as stop:
                result = stop.value
            except BaseException as error:  # noqa: BLE001  # whatever tenant code raises is a value here
                failure = error
            ending = self._ending(run, result, failure)
            # What is let go here may run code (a generator's `finally`): on behalf of this run, while it can expire.
            result = failure = None
            parameters.clear()
            arguments.clear()
            self._answer(run, ending)
        finally:
            RUNNING.run = None

    async def _follow(self, run: RunState, coroutine: Coroutine[Any, Any, Any]) -> None:
        result: object = None
        failure: BaseException | None = None
        try:
            result = await coroutine
        except BaseException as error:  # noqa: BLE001  # whatever tenant code raises is a value here
            failure = error
        ending = self._ending(run, result, failure)
        # As in `_begin`: what a generator says in its `finally` belongs to the logs that the answer ends.
        result = failure = None
        self._answer(run, ending)
        self._outbox.flush()

    def _ending(self, run: RunState, result: object, failure: BaseException | None) -> Ending:
        sources = self._loaded.sources
        if failure is None:
            return ending_of_result(run, result, max_bytes=self._result_max_bytes, sources=sources)
        return ending_of_error(run, failure, sources=sources)

    def _answer(self, run: RunState, message: protocol.Message) -> None:
        """Send the one answer of a run, unless the alarm has already sent it, and leave nothing of the run behind."""
        if not run.answered:
            run.answered = True
            run.console.finish()
            self._outbox.put(message)
        else:
            run.console.close()
        if run.main is not None:
            run.tasks.discard(run.main)
        if run.is_over():
            self._close_run(run)
        else:
            # Tasks that outlive their run are unwound like those of a run that timed out.
            self._deadlines.expire_now(run)

    def _unwind(self, run: RunState) -> None:
        """One attempt to get rid of a run; the alarm comes back here until it has worked."""
        if run.number not in self._runs:
            return
        run.cancel_tasks()
        if run.is_over():
            self._close_run(run)
            self._outbox.flush()

    def _close_run(self, run: RunState) -> None:
        self._deadlines.forget(run)
        if run.fetches is not None:
            self._fetches.forget(run.fetches)
        ownership.forget_recent()
        if self._runs.pop(run.number, None) is not None and run.expired:
            self._outbox.put(protocol.Ended(run=run.number))
        while run in EXPIRED:
            EXPIRED.remove(run)

    def _cancel(self, number: int) -> None:
        run = self._runs.get(number)
        if run is not None:
            run.answered = True
            run.console.close()
            self._deadlines.expire_now(run)

    def _refuse(self, run: RunState, message: protocol.Message) -> None:
        self._outbox.put(message)
        self._close_run(run)

    def _open_run(self, request: protocol.Run | protocol.RunInline, function: str) -> RunState:
        console = Console(request.run, outbox=self._outbox, max_bytes=self._logs_max_bytes)
        run = RunState(
            number=request.run,
            run_id=request.run_id,
            function=function,
            timeout_ms=request.timeout_ms,
            console=console,
        )
        self._runs[run.number] = run
        self._deadlines.watch(run)
        return run

    @property
    def _loaded(self) -> Workspace:
        if self._workspace is None:
            raise protocol.ProtocolError("a run before a workspace")
        return self._workspace


class Loop(asyncio.SelectorEventLoop):
    """A loop that never runs a tenant's code on nobody's behalf."""

    def _asyncgen_firstiter_hook(self, agen: Any) -> None:
        adopt_generator(agen)

    def _asyncgen_finalizer_hook(self, agen: Any) -> None:
        abandon_generator(agen)


def main(connection: socket.socket, *, seal: Callable[[], None]) -> None:
    """Serve one connection until it closes. Does not return.

    `seal` is the last step into the jail: after it nothing can be opened, so what the loop needs is opened before.
    """
    connection.setblocking(False)
    loop = Loop()
    loop.set_task_factory(task_factory)
    # A tenant's forgotten task is the tenant's affair, and there is nobody on standard error.
    loop.set_exception_handler(lambda _loop, _context: None)
    worker = Worker(connection, loop)
    worker.open()
    loop.add_reader(connection, worker.read)
    seal()
    while True:
        # What leads out of the loop: an exit that tenant code raised where nobody could catch it, and the loop's own
        # need for memory while a run has it all. What was waiting is still there.
        with contextlib.suppress(SystemExit, KeyboardInterrupt, MemoryError):
            loop.run_forever()
