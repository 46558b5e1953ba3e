"""What every worker will do, done once before any worker is forked.

The interpreter rewrites code as it runs (specialised instructions, caches of attributes), fills caches, and loads what
is imported late. Done in the zygote, that is shared by all workers instead of private to each: 0.5 MiB of 3.2 less, and
a first run as fast as the next.
"""

import asyncio
import signal
import socket
from collections.abc import Callable, Collection
from typing import Final

import orjson

from sandbox import protocol
from sandbox.cache_calls import CacheCalls
from sandbox.console import Console
from sandbox.incoming import Incoming
from sandbox.outbox import Outbox
from sandbox.runs import RUNNING, RunState, task_factory
from sandbox.shared_cache import SharedCache
from sandbox.worker import Loop, Worker

_TIMES: Final = 16
"""An instruction is specialised when it has run some ten times."""
_MAX_BYTES: Final = 2**20
_TIMEOUT_MS: Final = 60_000
_FUNCTIONS: Final = {
    "give": {"code": "return name", "parameters": {"name": {"schema": {"type": "string"}, "default": "x"}}},
    "call": {"code": "return {'name': await give('x'), 'amounts': [1, 2.5]}"},
    "say": {"code": "print('x')\nlog.info('x', n=1)"},
    "fail": {
        "code": "try:\n    raise ValueError('x')\nexcept ValueError as error:\n    raise KeyError('x') from error"
    },
}


class RehearsalFailed(Exception):
    """A worker that was forked now would not work either."""


def rehearse(modules: Collection[str]) -> None:
    """Load a workspace and run its functions, on a connection to oneself. Leaves nothing behind but warm code."""
    definition = orjson.dumps({"functions": _FUNCTIONS})
    bundle = b""
    for _ in range(2):  # compiled, and then loaded from what that made
        bundle = _live(
            protocol.Load(
                workspace="rehearsal",
                definition=definition,
                bundle=bundle,
                modules=list(modules),
                result_max_bytes=_MAX_BYTES,
                logs_max_bytes=_MAX_BYTES,
            )
        )
    _use_shared_cache()


def _use_shared_cache() -> None:
    """Its operations wait for their answers, so each answer is there before."""
    service_end, worker_end = socket.socketpair()
    loop = Loop()
    try:
        worker_end.setblocking(False)
        outbox = Outbox(worker_end, loop)
        calls = CacheCalls(Incoming(worker_end, loop, _nothing), outbox)
        calls.max_bytes = _MAX_BYTES
        cache = SharedCache(calls)
        console = Console(0, outbox=outbox, max_bytes=0)
        RUNNING.run = RunState(number=0, run_id="", function="", timeout_ms=_TIMEOUT_MS, console=console)
        operations: tuple[Callable[[], object], ...] = (
            lambda: cache["x"],
            lambda: cache.get(("x", 1)),
            lambda: cache.__setitem__("x", {"amounts": [1, 2.5, None]}),
            lambda: cache.setdefault(1, "x"),
            lambda: cache.increment("n"),
            lambda: "x" in cache,
        )
        for number in range(_TIMES * len(operations)):
            service_end.sendall(protocol.encode_frame(protocol.CacheAnswer(number + 1, "done", [b"1"])))
            operations[number % len(operations)]()
            service_end.recv(_MAX_BYTES)
    finally:
        RUNNING.run = None
        loop.close()
        service_end.close()
        worker_end.close()


def _nothing() -> None:
    """Nothing else arrives."""


def _live(load: protocol.Load) -> bytes:
    """One worker's life. Returns the bundle if it made one."""
    service_end, worker_end = socket.socketpair()
    loop = Loop()
    try:
        for end in (service_end, worker_end):
            end.setblocking(False)
        worker = Worker(worker_end, loop)
        worker.open()
        loop.add_reader(worker_end, worker.read)
        return loop.run_until_complete(_talk(loop, service_end, load))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        loop.close()
        service_end.close()
        worker_end.close()


async def _talk(loop: asyncio.AbstractEventLoop, connection: socket.socket, load: protocol.Load) -> bytes:
    loop.set_task_factory(task_factory)
    frames = protocol.FrameReader(max_bytes=_MAX_BYTES)

    async def ask(message: protocol.Downward) -> protocol.Upward:
        connection.sendall(protocol.encode_frame(message))
        while True:
            for body in frames.feed(await loop.sock_recv(connection, _MAX_BYTES)):
                answer = protocol.decode_upward(body)
                if not isinstance(answer, protocol.Log):
                    return answer

    loaded = await ask(load)
    if not isinstance(loaded, protocol.Loaded):
        raise RehearsalFailed(loaded)
    names = [name for name in _FUNCTIONS for _ in range(_TIMES)]
    for number, name in enumerate(names, 1):
        answer = await ask(protocol.Run(number, "0" * 26, name, b"{}", _TIMEOUT_MS))
        if not isinstance(answer, protocol.Raised if name == "fail" else protocol.Returned):
            raise RehearsalFailed(answer)
    return loaded.bundle
