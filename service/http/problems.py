"""The one table from errors and outcomes to responses, and the envelope they share."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import orjson
from aiohttp import web

from service import errors
from service.domain import outcome as outcomes

JSON: Final = "application/json"
RETRY_AFTER_S: Final = 1


class Answer(NamedTuple):
    """How one kind of failure is told: HTTP status and the `error` of the envelope."""

    status: int
    error: str


RESPONSES: Final[Mapping[type, Answer]] = {
    errors.InvalidRequest: Answer(400, "RequestValidationError"),
    errors.CompilationFailed: Answer(400, "CompilationError"),
    errors.WorkspaceNotFound: Answer(404, "ObjectNotFoundError"),
    errors.FunctionNotFound: Answer(404, "ObjectNotFoundError"),
    errors.KeyNotFound: Answer(404, "ObjectNotFoundError"),
    errors.RevisionNotFound: Answer(404, "ObjectNotFoundError"),
    errors.AliasNotFound: Answer(404, "ObjectNotFoundError"),
    errors.SecretNotFound: Answer(404, "ObjectNotFoundError"),
    errors.RunNotFound: Answer(404, "ObjectNotFoundError"),
    errors.RouteNotFound: Answer(404, "ObjectNotFoundError"),
    errors.MethodRefused: Answer(405, "MethodNotAllowed"),
    errors.UnsupportedMediaType: Answer(415, "UnsupportedMediaType"),
    errors.Conflict: Answer(409, "ConflictError"),
    errors.TooMany: Answer(429, "TooManyRequests"),
    errors.PreconditionFailed: Answer(412, "PreconditionFailed"),
    errors.BodyTooLarge: Answer(413, "PayloadTooLarge"),
    errors.QuotaSpent: Answer(429, "TooManyRequests"),
    errors.WorkspacesFull: Answer(403, "ForbiddenError"),
    errors.WorkspaceBroken: Answer(503, "ServiceUnavailable"),
    errors.VolumeUnavailable: Answer(503, "ServiceUnavailable"),
    errors.DatabaseUnusable: Answer(503, "ServiceUnavailable"),
    errors.DatabaseUnavailable: Answer(503, "ServiceUnavailable"),
    errors.SecretsUnreadable: Answer(503, "ServiceUnavailable"),
    errors.Unauthenticated: Answer(401, "AuthenticationError"),
    errors.TooManyBadKeys: Answer(429, "TooManyRequests"),
    errors.KeyNameTaken: Answer(409, "ConflictError"),
    errors.Forbidden: Answer(403, "ForbiddenError"),
    errors.FunctionDisabled: Answer(403, "ForbiddenError"),
    errors.WorkersUnavailable: Answer(503, "ServiceUnavailable"),
    errors.WorkersCrash: Answer(503, "ServiceUnavailable"),
    errors.AccessTooOpen: Answer(503, "ServiceUnavailable"),
    errors.JailTooWeak: Answer(503, "ServiceUnavailable"),
    errors.Draining: Answer(503, "ServiceUnavailable"),
    outcomes.ParametersRefused: Answer(400, "RequestValidationError"),
    outcomes.CodeRefused: Answer(400, "CompilationError"),
    outcomes.Raised: Answer(500, "FunctionError"),
    outcomes.MemoryExceeded: Answer(500, "MemoryExceeded"),
    outcomes.Cancelled: Answer(409, "ConflictError"),
    outcomes.WorkerLost: Answer(502, "WorkerLost"),
    outcomes.TimedOut: Answer(504, "FunctionTimeout"),
    outcomes.Rejected: Answer(503, "QueueTimeout"),
}
QUEUE_FULL: Final = Answer(429, "TooManyRequests")
"""The other way to be rejected."""
INTERNAL: Final = orjson.dumps({"error": "Internal", "message": "Internal error"})


def problem_details(error: errors.SkepError) -> Any:  # noqa: PLR0911  # one case an error
    """What `details` says of an error beyond its message; None for nothing."""
    match error:
        case errors.InvalidRequest(problems=problems):
            return _problems(problems)
        case errors.CompilationFailed(errors=found):
            return {"errors": _code_errors(found)}
        case errors.WorkspaceBroken(errors=found) if found:
            return {"errors": _code_errors(found)}
        case errors.WorkersCrash(reason=reason, crashes=crashes):
            return {"reason": reason, "crashes": crashes}
        case errors.Conflict(details=details) if details:
            return details
        case errors.MethodRefused(allowed=allowed):
            return {"allowed": sorted(allowed)}
        case _:
            return None


def error_response(error: errors.SkepError) -> web.Response:
    """The response for a failure of ours."""
    answer = RESPONSES[type(error)]
    response = envelope(answer, _message(error), details=problem_details(error))
    if answer.status in {429, 503}:  # Too Many Requests, Service Unavailable
        response.headers["Retry-After"] = str(getattr(error, "retry_after_s", RETRY_AFTER_S))
    if isinstance(error, errors.Unauthenticated):
        response.headers["WWW-Authenticate"] = 'Bearer realm="skep"'
    if isinstance(error, errors.MethodRefused):
        response.headers["Allow"] = ", ".join(sorted(error.allowed))
    return response


def internal_response() -> web.Response:
    """The response for what nobody foresaw: nothing of the inside leaks."""
    return web.Response(status=500, body=INTERNAL, content_type=JSON)


def outcome_response(outcome: outcomes.Outcome) -> web.Response:
    """The response for the outcome of a run that did not return."""
    answer, body = _failure(outcome)
    if (duration_ms := getattr(outcome, "duration_ms", None)) is not None:
        body["duration"] = duration_ms
    if (logs := getattr(outcome, "logs", None)) is not None:
        body["logs"] = orjson.Fragment(logs_json(logs))
    response = web.Response(status=answer.status, body=orjson.dumps(body), content_type=JSON)
    if isinstance(outcome, outcomes.Rejected):
        response.headers["Retry-After"] = str(outcome.retry_after_s)
    return response


def error_json(error: errors.SkepError) -> bytes:
    """The same of a failure of ours, where it is kept and not answered."""
    return orjson.dumps(_body(RESPONSES[type(error)], _message(error), problem_details(error)))


def failure_json(outcome: outcomes.Outcome) -> bytes:
    """What the response for such an outcome says of it, without logs and duration: the history has those itself."""
    return orjson.dumps(_failure(outcome)[1])


def _failure(outcome: outcomes.Outcome) -> tuple[Answer, dict[str, Any]]:  # noqa: C901, PLR0911  # one case an outcome
    answer = RESPONSES[type(outcome)]
    match outcome:
        case outcomes.Raised():
            details = {
                "type": outcome.type,
                "function": outcome.function,
                "line": outcome.line,
                "traceback": outcome.traceback,
            }
            message = f"{outcome.type}: {outcome.message}" if outcome.message else outcome.type
            return answer, _body(answer, message, details)
        case outcomes.TimedOut():
            return answer, _body(answer, f"The run took longer than its {outcome.limit_ms} ms.")
        case outcomes.MemoryExceeded():
            return answer, _body(answer, "The run needed more memory than its worker may have.")
        case outcomes.Cancelled():
            message = "The run was cancelled before it had finished."
            return answer, _body(answer, message, {"status": "cancelled"})
        case outcomes.WorkerLost():
            message = "The worker was lost under the run; if the function is safe to repeat, so is the request."
            return answer, _body(answer, message, {"reason": outcome.reason})
        case outcomes.ParametersRefused():
            return answer, _body(answer, "The parameters do not fit the function.", _problems(outcome.problems))
        case outcomes.CodeRefused():
            return answer, _body(answer, "The code was refused.", {"errors": _code_errors(outcome.errors)})
        case outcomes.Rejected():
            if outcome.reason == "queue full":
                answer = QUEUE_FULL
            return answer, _body(answer, f"There was no worker for the run: {outcome.reason}.")
        case outcomes.Returned():
            raise AssertionError("a run that returned is no problem")


def envelope(answer: Answer, message: str, *, details: Any = None) -> web.Response:
    """The body of every response that is not a success."""
    return web.Response(status=answer.status, body=orjson.dumps(_body(answer, message, details)), content_type=JSON)


def _body(answer: Answer, message: str, details: Any = None) -> dict[str, Any]:
    body: dict[str, Any] = {"error": answer.error, "message": message}
    if details is not None:
        body["details"] = details
    return body


def logs_json(logs: outcomes.Logs) -> bytes:
    """A JSON array of entries that were checked one by one when they came."""
    return b"[" + b",".join(logs) + b"]"


def _message(error: errors.SkepError) -> str:
    match error:
        case errors.InvalidRequest(problems=problems):
            path, said = problems[0].path, problems[0].message
            where = f" ({path}: {said})" if path else f" ({said})"
            return f"The request does not fit: {_count(len(problems), 'problem')}{where}."
        case errors.CompilationFailed(errors=found):
            first = found[0]
            place = f"function {first.function}, line {first.line}: " if first.function else ""
            where = f" ({place}{first.message})"
            return f"The code was refused: {_count(len(found), 'error')}{where}."
        case _:
            return str(error)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _problems(problems: "list[errors.Problem] | tuple[errors.Problem, ...]") -> list[dict[str, str]]:
    return [{"path": problem.path, "message": problem.message} for problem in problems]


def _code_errors(found: "list[errors.CodeError] | tuple[errors.CodeError, ...]") -> list[dict[str, Any]]:
    return [
        {
            "function": error.function,
            "line": error.line,
            "column": error.column,
            "message": error.message,
            **({"source": error.source} if error.source else {}),
        }
        for error in found
    ]
