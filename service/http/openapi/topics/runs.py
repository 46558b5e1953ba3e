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
from service.http.openapi.topics.common import STORED, TEXT, record

_RUNS: Final = (
    *STORED,
    errors.WorkersUnavailable,
    errors.WorkersCrash,
    errors.Draining,
    errors.QuotaSpent,
    outcomes.Raised,
    outcomes.MemoryExceeded,
    outcomes.WorkerLost,
    outcomes.TimedOut,
    outcomes.Rejected,
)
RATE: Final = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
_RETURNED: Final = {
    200: Success("The function returned.", ref("RunResult"), headers=("x-run-id", "x-revision", "server-timing", *RATE))
}
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
    "RunBody": schema_of_struct(runs.RunBody),
    "InlineBody": schema_of_struct(runs.InlineBody, FUNCTION),
}

OPERATIONS: Final[dict[Handler, Operation]] = {
    runs.run_function: Operation(
        id="runFunction", tag="Runs", answers=_RETURNED, body=Body(ref("RunBody"), is_required=False),
        query=(_REVISION,),
        fails=(
            *_RUNS, errors.FunctionNotFound, errors.FunctionDisabled, errors.RevisionNotFound, errors.AliasNotFound,
            outcomes.ParametersRefused,
        ),
    ),
    runs.run_inline: Operation(
        id="runInline", tag="Runs", answers=_RETURNED, body=Body(ref("InlineBody")),
        fails=(*_RUNS, outcomes.CodeRefused),
    ),
}  # fmt: skip
