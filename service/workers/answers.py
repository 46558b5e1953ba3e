"""From what a worker says to what the service means by it."""

from sandbox import protocol
from service.domain.outcome import CodeRefused, MemoryExceeded, Outcome, ParametersRefused, Raised, Returned
from service.domain.source_lines import pointed
from service.errors import CodeError, CompilationFailed, InvalidRequest, Problem, SkepError
from service.workers.flights import Flight

Ending = protocol.Returned | protocol.Raised | protocol.OutOfMemory | protocol.BadParameters | protocol.NotCompiled
"""Messages that end a run and say how."""


def check_result(result: bytes, *, max_bytes: int) -> None:
    """Raises: ProtocolError for what is no JSON, or longer than a result may be."""
    if len(result) > max_bytes:
        raise protocol.ProtocolError("a result longer than any may be")
    protocol.check_json(result)


def outcome_of(message: Ending, flight: Flight) -> Outcome:
    """How a run ended."""
    match message:
        case protocol.Returned():
            return Returned(message.result, flight.logs(), flight.duration_ms(message.duration_us))
        case protocol.Raised():
            return Raised(
                type=message.type,
                message=message.message,
                function=message.function,
                line=message.line,
                traceback=message.traceback,
                logs=flight.logs(),
                duration_ms=flight.duration_ms(message.duration_us),
            )
        case protocol.OutOfMemory():
            return MemoryExceeded(flight.logs(), flight.duration_ms(message.duration_us))
        case protocol.BadParameters():
            return ParametersRefused(tuple(_problem(problem) for problem in message.problems))
        case protocol.NotCompiled():
            errors = [_code_error(error) for error in message.errors]
            return CodeRefused(pointed(errors, {error.function: flight.call.code or "" for error in errors}))


def refusal_of(message: protocol.NotLoaded) -> SkepError:
    """Why a workspace was not loaded. Raises: ProtocolError if it does not say."""
    if message.errors:
        return CompilationFailed([_code_error(error) for error in message.errors])
    if not message.problems:
        raise protocol.ProtocolError("a refusal without a reason")
    return InvalidRequest([_problem(problem) for problem in message.problems])


def describe_exit(status: int | None) -> str:
    """The end of a process, in words; `status` as `os.waitstatus_to_exitcode` gives it."""
    if status is None:
        return "the worker ended"
    if status < 0:
        return f"the worker was ended by signal {-status}"
    return f"the worker ended itself with status {status}"


def _problem(problem: protocol.Problem) -> Problem:
    return Problem(problem.path, problem.message)


def _code_error(error: protocol.CodeError) -> CodeError:
    return CodeError(error.function, error.line, error.column, error.message)
