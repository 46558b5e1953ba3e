"""The service itself: how it is doing, and what it says of itself."""

from typing import Any, Final

from service import errors
from service.http import docs, system
from service.http.edge import Handler
from service.http.openapi import serving
from service.http.openapi.operation import Operation, Query, Success, ref
from service.http.openapi.topics.common import KNOWN, STORED, TEXT

_DOCUMENT: Final = {200: Success("An OpenAPI document.", {"type": "object"}, headers=("ETag",))}

SCHEMAS: Final[dict[str, Any]] = {
    "Health": {
        "type": "object",
        "properties": {"status": {"type": "string", "enum": ["ok"]}, "version": TEXT, "jail": TEXT},
        "required": ["status", "version", "jail"],
    },
    "Ready": {
        "type": "object",
        "properties": {
            "status": {"type": "string", "enum": ["ready"]},
            "database": {"type": "string", "description": "`ok`, or what is wrong with it: runs go on without."},
            "secrets": {"type": "string", "description": "What is wrong with them; absent while nothing is."},
        },
        "required": ["status", "database"],
    },
}

OPERATIONS: Final[dict[Handler, Operation]] = {
    serving.workspace_document: Operation(
        id="readWorkspaceOpenapi", tag="Descriptions", headers=("If-None-Match",), answers=_DOCUMENT | KNOWN,
        fails=STORED,
    ),
    serving.service_document: Operation(
        id="readOpenapi", tag="Descriptions", headers=("If-None-Match",), answers=_DOCUMENT | KNOWN
    ),
    docs.page: Operation(
        id="showDocs", tag="Descriptions", headers=("If-None-Match",),
        query=(Query("workspace", ref("WorkspaceName"), "A workspace, instead of the service."),),
        answers={200: Success("The page.", TEXT, ("text/html",), headers=("ETag",))} | KNOWN,
    ),
    docs.file: Operation(
        id="readDocsFile", tag="Descriptions", headers=("If-None-Match",), fails=(errors.RouteNotFound,),
        path={"file": {"type": "string", "enum": sorted(docs.FILES)}},
        answers={200: Success("The file.", TEXT, ("text/javascript", "text/css"), headers=("ETag",))} | KNOWN,
    ),
    system.healthcheck: Operation(
        id="checkHealth", tag="The service", answers={200: Success("It is alive.", ref("Health"))}
    ),
    system.ready: Operation(
        id="checkReady", tag="The service", answers={200: Success("It takes runs.", ref("Ready"))},
        fails=(errors.Draining, errors.VolumeUnavailable),
    ),
    system.metrics: Operation(
        id="readMetrics", tag="The service",
        answers={200: Success("Every series.", TEXT, ("text/plain", "application/openmetrics-text"))},
    ),
}  # fmt: skip
