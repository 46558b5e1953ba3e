"""From what a worker says to what the service means by it."""

from sandbox import protocol
from service.domain.outcome import CodeRefused, MemoryExceeded, Outcome, ParametersRefused, Raised, Returned
from service.domain.source_lines import pointed
from service.errors import CodeError, CompilationFailed, InvalidRequest, Problem, SkepError
from service.workers.child import WITH_ITS_ZYGOTE, ExitStatus
from service.workers.contract import NotItsFault, WorkerDied
from service.workers.ends import NOT_LOCKED_IN, ORPHANED, End
from service.workers.flight import Flight
from service.workers.masks import Masks

Failing = protocol.Raised | protocol.OutOfMemory | protocol.BadParameters | protocol.NotCompiled
Ending = protocol.Returned | Failing
"""Messages that end a run and say how."""


def check_result(result: bytes, *, max_bytes: int) -> None:
    """Raises: ProtocolError for what is no JSON, or longer than a result may be."""
    if len(result) > max_bytes:
        raise protocol.ProtocolError("a result longer than any may be")
    protocol.check_json(result)


def outcome_of(message: Ending, flight: Flight, masks: Masks) -> Outcome:
    """How a run ended, without secrets in what is said of its failure."""
    if isinstance(message, protocol.Returned):
        return Returned(message.result, flight.logs(), flight.duration_ms(message.duration_us))
    return masks.outcome(_failure_of(message, flight))


def _failure_of(message: Failing, flight: Flight) -> Outcome:
    match message:
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
            return CodeRefused(pointed(errors, {error.function: flight.code or "" for error in errors}))


def refusal_of(message: protocol.NotLoaded) -> SkepError:
    """Why a workspace was not loaded. Raises: ProtocolError if it does not say."""
    if message.errors:
        return CompilationFailed([_code_error(error) for error in message.errors])
    if not message.problems:
        raise protocol.ProtocolError("a refusal without a reason")
    return InvalidRequest([_problem(problem) for problem in message.problems])


def end_of(status: ExitStatus, *, has_loaded: bool) -> End:
    """Why a worker ended that was not told to."""
    if status == WITH_ITS_ZYGOTE:
        return ORPHANED
    if status == protocol.NOT_LOCKED_IN and not has_loaded:
        return NOT_LOCKED_IN
    return End("crashed", describe_exit(status))


def not_loaded(end: End) -> WorkerDied:
    """What to tell whoever waits for a worker that has ended before it had loaded its workspace."""
    return NotItsFault(end.sentence) if end in {ORPHANED, NOT_LOCKED_IN} else WorkerDied(end.sentence)


def describe_exit(status: ExitStatus) -> str:
    """The end of a process, in words."""
    if status is None:
        return "the worker ended"
    if isinstance(status, str):
        return status
    if status < 0:
        return f"the worker was ended by signal {-status}"
    return f"the worker ended itself with status {status}"


def _problem(problem: protocol.Problem) -> Problem:
    return Problem(problem.path, problem.message)


def _code_error(error: protocol.CodeError) -> CodeError:
    return CodeError(error.function, error.line, error.column, error.message)
