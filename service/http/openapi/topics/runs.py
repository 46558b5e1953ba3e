"""Running functions."""

from typing import Any, Final

from service import errors
from service.domain import outcome as outcomes
from service.domain.names import WORKSPACE_NAME
from service.domain.validation import FUNCTION
from service.http import runs
from service.http.edge import Handler
from service.http.openapi.definitions import schema_of_struct
from service.http.openapi.operation import Body, Operation, Query, Success, ref
from service.http.openapi.tenant import CALLBACK
from service.http.openapi.topics.common import STORED, TEXT, record
from service.http.run_modes import IDEMPOTENCY_KEY, PREFER, REPLAYED

_RUNS: Final = (
    *STORED,
    errors.WorkersUnavailable,
    errors.WorkersCrash,
    errors.Draining,
    errors.QuotaSpent,
    errors.TooMany,
    errors.Conflict,
    outcomes.Raised,
    outcomes.MemoryExceeded,
    outcomes.WorkerLost,
    outcomes.Cancelled,
    outcomes.TimedOut,
    outcomes.Rejected,
)
RATE: Final = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
_MODES: Final = (str(PREFER), str(IDEMPOTENCY_KEY))
_ANSWERS: Final = {
    200: Success(
        "The function returned.", ref("RunResult"),
        headers=("x-run-id", "x-revision", "server-timing", REPLAYED, *RATE),
    ),
    202: Success(
        "The run is accepted, and on disk: with `Prefer: respond-async`.", ref("AcceptedRun"),
        headers=("x-run-id", "Location", "Preference-Applied", REPLAYED, *RATE),
    ),
}  # fmt: skip
_REVISION: Final = Query(
    "revision",
    {"type": "string", "pattern": f"^{WORKSPACE_NAME.pattern}$"},
    "The number of a revision, or an alias; without it, what is live.",
)

SCHEMAS: Final[dict[str, Any]] = {
    "LogEntry": {
        "type": "object",
        "properties": {"time": {"type": "string", "format": "date-time"}, "level": TEXT, "message": TEXT},
        "required": ["time", "level", "message"],
        "additionalProperties": True,
    },
    "RunResult": record(
        result={"description": "What the function returned: any JSON."},
        logs={"type": "array", "items": ref("LogEntry")},
        duration={"type": "number", "description": "Milliseconds in the worker."},
    ),
    "AcceptedRun": record(id=TEXT, status={"type": "string", "enum": ["queued"]}),
    "RunBody": schema_of_struct(runs.RunBody, callback=CALLBACK),
    "InlineBody": schema_of_struct(runs.InlineBody, FUNCTION, callback=CALLBACK),
}

OPERATIONS: Final[dict[Handler, Operation]] = {
    runs.run_function: Operation(
        id="runFunction", tag="Runs", answers=_ANSWERS, body=Body(ref("RunBody"), is_required=False),
        query=(_REVISION,), headers=_MODES,
        fails=(
            *_RUNS, errors.FunctionNotFound, errors.FunctionDisabled, errors.RevisionNotFound, errors.AliasNotFound,
            outcomes.ParametersRefused,
        ),
    ),
    runs.run_inline: Operation(
        id="runInline", tag="Runs", answers=_ANSWERS, body=Body(ref("InlineBody")), headers=_MODES,
        fails=(*_RUNS, outcomes.CodeRefused),
    ),
}  # fmt: skip
