"""The steps that tenant code can take from an object: what the compiled language and its guards let through."""

import asyncio
import builtins
import gc
import inspect
import signal
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from types import FrameType
from typing import Any, Final

from sandbox.python import guards, names, ownership
from sandbox.python.names import Verdict

ELEMENTS_MAX: Final = 4000
"""Of a container; iterators may have no end."""
_PRODUCED_MAX: Final = 3
_WAITS: Final = frozenset({"sleep", "wait", "get", "acquire", "join", "put"})
"""Methods that would wait for ever on an object nobody else has."""
CALL_MAX_S: Final = 0.1
"""Some calls never end: `Sequence.index` of what has no end."""
Step = tuple[str, Any]


class CallTooLong(BaseException):
    """What ends such a call."""


def end_long_calls() -> None:
    """Have SIGALRM end them, in this process."""

    def ring(_signal: int, frame: FrameType | None) -> None:
        # What raises in a callback of the collector is told as an error of that; the next ring comes soon.
        callbacks = {getattr(call, "__code__", None) for call in gc.callbacks}
        while frame is not None:
            if frame.f_code in callbacks:
                return
            frame = frame.f_back
        raise CallTooLong

    signal.signal(signal.SIGALRM, ring)


def attributes(obj: Any) -> Iterator[Step]:
    """Every attribute that source code could read, read as the compiler has it read."""
    for name in _names(obj):
        try:
            yield f".{name}", read(obj, name)
        except AttributeError:
            continue  # refused, or not there
        except BaseException as error:  # noqa: BLE001 - whatever it is, tenant code could catch it
            yield f".{name} raises", error


def read(obj: Any, name: str) -> Any:
    """`obj.name`. Raises: AttributeError where that is refused, and whatever reading it raises."""
    match names.reading(name):
        case Verdict.NATIVE:
            return builtins.getattr(obj, name)
        case Verdict.PRIVATE:
            return builtins.getattr(ownership.private(obj, name), name)
        case Verdict.GUARDED:
            return guards.guarded_attribute(obj, name)
        case Verdict.REFUSED:
            raise AttributeError(name)


def elements(obj: Any) -> Iterator[Step]:
    """What iterating gives, and the values of a mapping."""
    if isinstance(obj, dict):
        for key, value in list(obj.items())[:ELEMENTS_MAX]:
            yield f"[{key!r:.40}]", value
            yield " key", key
        return
    is_container = isinstance(obj, list | tuple | set | frozenset)
    if isinstance(obj, (str, bytes, bytearray, memoryview, type)):
        return
    try:
        found = list(islice(iter(obj), ELEMENTS_MAX if is_container else _PRODUCED_MAX))
    except BaseException as error:  # noqa: BLE001 - as above
        yield "[iter] raises", error
        return
    yield from ((f"[{index}]", value) for index, value in enumerate(found))


def calls(obj: Any) -> Iterator[Step]:
    """What calling it without arguments gives or raises; coroutines are awaited."""
    if not callable(obj) or getattr(obj, "__name__", "") in _WAITS:
        return
    yield from attempt("()", obj)


def calls_with(obj: Any, arguments: dict[str, tuple[Any, ...]]) -> Iterator[Step]:
    """What calling it with each of these gives or raises."""
    if not callable(obj) or getattr(obj, "__name__", "") in _WAITS:
        return
    for label, values in arguments.items():
        yield from attempt(f"({label})", partial(obj, *values))


def attempt(label: str, call: Callable[[], Any]) -> Iterator[Step]:
    """What a call gives or raises, awaited if it can be."""
    try:
        signal.setitimer(signal.ITIMER_REAL, CALL_MAX_S, CALL_MAX_S)
        try:
            value = call()
            if inspect.iscoroutine(value):
                value = _awaited(value)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except BaseException as error:  # noqa: BLE001 - as above
        label, value = f"{label} raises", error
    yield label, value


def _awaited(coroutine: Any) -> Any:
    async def within_a_moment() -> Any:
        async with asyncio.timeout(0.05):
            return await coroutine

    return asyncio.run(within_a_moment())


def _names(obj: Any) -> list[str]:
    # The real `dir`, asked of the class too: an object may hide what it has.
    try:
        return sorted({*builtins.dir(obj), *builtins.dir(type(obj))})
    except BaseException:  # noqa: BLE001 - as above
        return []
