"""What has become of runs."""

from typing import Any, Final

from service import errors
from service.domain.record import FINISHED, STATUSES
from service.http import follow, history, unfinished
from service.http.edge import Handler
from service.http.openapi.definitions import FUNCTION_NAME_SCHEMA
from service.http.openapi.operation import Operation, Query, Success, ref
from service.http.openapi.topics.common import (
    PAGE,
    STORED,
    TEXT,
    TEXT_OR_NULL,
    TIME,
    TIME_OR_NULL,
    page,
    record,
)

RUN_ID: Final = {"id": {"type": "string", "description": "As `x-run-id` told it."}}
_SUMMARY: Final[dict[str, Any]] = {
    "id": TEXT,
    "function": {**TEXT_OR_NULL, "description": "null for a body that was run once."},
    "status": {"type": "string", "enum": STATUSES},
    "revision": {"type": ["integer", "null"]},
    "key": {**TEXT_OR_NULL, "description": "The name of the key it was run with."},
    "queued": TIME,
    "started": TIME_OR_NULL,
    "finished": TIME_OR_NULL,
    "duration": {"type": ["number", "null"], "description": "Milliseconds in the worker."},
}

_EVENTS: Final[dict[str, Any]] = {}
"""OpenAPI 3.1 has no way to tell the form of each event; some take a schema for that of one, others for the whole."""

SCHEMAS: Final[dict[str, Any]] = {
    "RunSummary": record(**_SUMMARY),
    "RunRecord": record(
        **_SUMMARY,
        callback=ref("CallbackState"),
        result={"description": "What the function returned: any JSON."},
        error={"type": "object", "description": "What the caller was told, without logs and duration."},
        logs={"type": "array", "items": ref("LogEntry")},
        truncated={"type": "boolean", "description": "Some of it was too large to be kept."},
        optional=("callback", "result", "error", "truncated"),
    ),
    "CallbackState": record(
        status={"type": "string", "enum": ["pending", "delivered", "failed"]},
        attempts={"type": "integer", "minimum": 0},
    ),
    "CancellingRun": record(id=TEXT, status={"type": "string", "enum": ["cancelling"]}),
    "WebhookSecret": record(secret=TEXT),
}

OPERATIONS: Final[dict[Handler, Operation]] = {
    history.list_runs: Operation(
        id="listRuns", tag="Runs", answers=page("RunSummary", "A page of runs."), fails=STORED,
        query=(
            *PAGE,
            Query("function", FUNCTION_NAME_SCHEMA, "Only runs of this function."),
            Query("status", {"type": "string", "enum": FINISHED}, "Only runs that ended like this."),
        ),
    ),
    unfinished.read_run: Operation(
        id="readRun", tag="Runs", path=RUN_ID, fails=(errors.RunNotFound,),
        answers={200: Success("What it is doing, or what is kept of it.", ref("RunRecord"))},
    ),
    unfinished.cancel_run: Operation(
        id="cancelRun", tag="Runs", path=RUN_ID, fails=(errors.RunNotFound, errors.Conflict, errors.TooMany),
        answers={
            202: Success("Another service, which has it, calls it off in a moment.", ref("CancellingRun")),
            204: Success("It is called off."),
        },
    ),
    follow.read_logs: Operation(
        id="readLogs", tag="Runs", path=RUN_ID, headers=(follow.LAST_EVENT_ID,),
        fails=(errors.RunNotFound, errors.TooMany),
        query=(
            Query("follow", {"type": "string", "enum": ["0", "1"], "default": "0"}, "With 1, as events while it runs."),
        ),
        answers={
            200: Success(
                "All that it has said so far, or a stream of it: events `log`, and `end` with the status.",
                {"type": "array", "items": ref("LogEntry")}, other_types={follow.EVENTS: _EVENTS},
            )
        },
    ),
    unfinished.webhook_secret: Operation(
        id="readWebhookSecret", tag="Runs", answers={200: Success("The secret.", ref("WebhookSecret"))}
    ),
}  # fmt: skip
