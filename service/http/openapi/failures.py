"""What can go wrong, as OpenAPI has it: from the one table of errors and outcomes."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec

from service import errors
from service.domain import outcome as outcomes
from service.domain.access import Need
from service.domain.record import FINISHED
from service.http.openapi.headers import response_headers
from service.http.openapi.operation import Operation, ref
from service.http.problems import JSON, QUEUE_FULL, RESPONSES, Answer
from service.http.route import Route

INTERNAL: Final = Answer(500, "Internal")
_RETRIED: Final = frozenset({429, 503})
_UNAUTHENTICATED: Final = 401

_TEXT: Final = {"type": "string"}
_WHOLE: Final = {"type": "integer"}
_OF_RUNS: Final[Collection[tuple[str, str, dict[str, Any]]]] = (
    ("logs", "logs", {"type": "array", "items": ref("LogEntry")}),
    ("duration_ms", "duration", {"type": "number", "description": "Milliseconds in the worker."}),
)
_CODE_ERRORS: Final = {"type": "array", "items": ref("CodeError")}
_DETAILS: Final[Mapping[str, Mapping[str, Any]]] = {
    "RequestValidationError": {"type": "array", "items": ref("Problem")},
    "CompilationError": {"type": "object", "properties": {"errors": _CODE_ERRORS}, "required": ["errors"]},
    "FunctionError": {
        "type": "object",
        "properties": {"type": _TEXT, "function": _TEXT, "line": _WHOLE, "traceback": _TEXT},
        "required": ["type", "function", "line", "traceback"],
    },
    "ConflictError": {
        "type": "object",
        "properties": {"status": {"type": "string", "enum": FINISHED}, "run_id": _TEXT},
        "description": "How the run ended, or which one has had this key.",
    },
    "WorkerLost": {"type": "object", "properties": {"reason": _TEXT, "run_id": _TEXT}, "required": ["reason"]},
    "ServiceUnavailable": {
        "type": "object",
        "properties": {"errors": _CODE_ERRORS, "reason": _TEXT, "crashes": _WHOLE},
    },
}
"""`details`, by the `error` they stand beside; the others have none, or say no more than the message."""


def failures_of(route: Route, operation: Operation, *, has_keys: bool) -> dict[int, list[str]]:
    """Every problem that a route may answer: the `error`s of each status."""
    fails: set[type | Answer] = {INTERNAL, errors.DatabaseUnavailable, *operation.fails}
    if route.needs is not Need.PUBLIC:
        # Without keys, callers from other machines may be refused.
        fails.add(errors.Forbidden)
        if has_keys:
            fails |= {errors.Unauthenticated, errors.TooManyBadKeys}
        if "{workspace}" in route.path:
            fails.add(errors.WorkspaceNotFound)
    if "{" in route.path or operation.query:
        fails.add(errors.InvalidRequest)
    if operation.body is not None:
        fails |= {errors.InvalidRequest, errors.UnsupportedMediaType, errors.BodyTooLarge}
    if outcomes.Rejected in fails:
        fails.add(QUEUE_FULL)
    codes: defaultdict[int, set[str]] = defaultdict(set)
    for failure in fails:
        answer = failure if isinstance(failure, Answer) else RESPONSES[failure]
        codes[answer.status].add(answer.error)
    return {status: sorted(codes[status]) for status in sorted(codes)}


def response_name(codes: Collection[str]) -> str:
    """What the response that tells one of these is called among the components."""
    return "_or_".join(codes)


def response(status: int, codes: Collection[str]) -> dict[str, Any]:
    """The response that tells one of these."""
    schemas = [ref(code) for code in codes]
    names = ["Retry-After"] if status in _RETRIED else []
    if status == _UNAUTHENTICATED:
        names.append("WWW-Authenticate")
    return {
        "description": " or ".join(codes),
        "headers": response_headers(names),
        "content": {JSON: {"schema": schemas[0] if len(schemas) == 1 else {"oneOf": schemas}}},
    }


def failure_schemas() -> dict[str, Any]:
    """Components: an envelope for each `error`, and what their details are made of."""
    kinds: defaultdict[str, list[type]] = defaultdict(list)
    for kind, answer in RESPONSES.items():
        kinds[answer.error].append(kind)
    for answer in (QUEUE_FULL, INTERNAL):
        kinds.setdefault(answer.error, [])
    _references, components = msgspec.json.schema_components(
        (errors.Problem, errors.CodeError), ref_template="#/components/schemas/{name}"
    )
    return {**components, **{code: _envelope(code, kinds[code]) for code in sorted(kinds)}}


def _envelope(code: str, kinds: Collection[type]) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "error": {"type": "string", "enum": [code]},
        "message": {"type": "string", "description": "One sentence that a person can act on."},
        "details": _DETAILS.get(code, {"type": "object"}),
    }
    required = ["error", "message"]
    # Runs that began tell what they logged, and how long they took where the worker could say.
    fields = [
        {field.name for field in msgspec.structs.fields(kind)} if issubclass(kind, msgspec.Struct) else set()
        for kind in kinds
    ]
    for field, name, schema in _OF_RUNS:
        having = [field in of_kind for of_kind in fields]
        if any(having):
            properties[name] = schema
            required += [name] if all(having) else []
    return {"type": "object", "properties": properties, "required": required}
