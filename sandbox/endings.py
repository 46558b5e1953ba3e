"""How a run's end is told: from a result or an exception to the one message that answers it.

Both may be hostile: encoding a result and describing an exception can call tenant code. So they belong to the run, can
expire with it, and nothing they raise gets out of here.
"""

from collections.abc import Mapping

from sandbox import protocol
from sandbox.expired import RunExpired
from sandbox.python.compiler import INLINE
from sandbox.python.tracebacks import describe
from sandbox.python.values import encode_result
from sandbox.runs import RunState

Ending = protocol.Returned | protocol.Raised | protocol.OutOfMemory | protocol.Expired


def ending_of_result(run: RunState, result: object, *, max_bytes: int, sources: Mapping[str, str]) -> Ending:
    """The message for a run whose body returned."""
    try:
        encoded = encode_result(result, max_bytes=max_bytes)
    except BaseException as error:  # noqa: BLE001  # a hostile result can raise anything from its own methods
        return ending_of_error(run, error, sources=sources)
    return protocol.Returned(run=run.number, result=encoded, duration_us=run.duration_us())


def ending_of_error(run: RunState, error: BaseException, *, sources: Mapping[str, str]) -> Ending:
    """The message for a run whose body raised."""
    duration_us = run.duration_us()
    if run.expired:
        return protocol.Expired(run=run.number, duration_us=duration_us)
    # By type: what an exception says of its class is the tenant's.
    if issubclass(type(error), MemoryError):
        return protocol.OutOfMemory(run=run.number, duration_us=duration_us)
    if type(error) is RunExpired:
        # Not of this run, which has time left: kept from another one, and raised by hand.
        error = RuntimeError("the end of another run")
    if run.inline_source is not None:
        sources = {**sources, INLINE: run.inline_source}
    try:
        raised = describe(error, sources)
    except MemoryError:
        return protocol.OutOfMemory(run=run.number, duration_us=duration_us)
    except BaseException:  # noqa: BLE001  # the deadline may pass in the middle, or the exception be as hostile as can be
        if _is_expired(run):
            return protocol.Expired(run=run.number, duration_us=duration_us)
        name = type(error).__name__
        return protocol.Raised(run.number, name, "the exception cannot be shown", run.function, 0, "", duration_us)
    return protocol.Raised(
        run=run.number,
        type=raised.type,
        message=raised.message,
        function=raised.function or run.function,
        line=raised.line,
        traceback=raised.traceback,
        duration_us=duration_us,
    )


def _is_expired(run: RunState) -> bool:
    """Asked again: the alarm sets it between any two instructions."""
    return run.expired
