"""What several topics are described with."""

from collections.abc import Sequence
from typing import Any, Final

from service import errors
from service.http.openapi.operation import JSON_OR_YAML, Query, Success, ref
from service.http.paging import LIMIT, LIMIT_MAX

TEXT: Final = {"type": "string"}
WHOLE: Final = {"type": "integer"}
TIME: Final = {"type": "string", "format": "date-time"}
TIME_OR_NULL: Final = {"type": ["string", "null"], "format": "date-time"}
TEXT_OR_NULL: Final = {"type": ["string", "null"]}

STORED: Final = (errors.WorkspaceNotFound, errors.WorkspaceBroken, errors.VolumeUnavailable)
"""What reading a definition can fail at."""
DEPLOYS: Final = (
    *STORED,
    errors.CompilationFailed,
    errors.PreconditionFailed,
    errors.WorkersUnavailable,
    errors.WorkspacesFull,
    errors.Draining,
)
CHANGES: Final = ("If-Match", "If-None-Match", "x-deploy-message")
DRY_RUN: Final = Query("dryRun", {"type": "boolean", "default": False}, "Check everything, and change nothing.")
PAGE: Final = (
    Query("limit", {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT}, "Items of a page."),
    Query("cursor", TEXT, "The `cursor` of the page before."),
)
GONE: Final = {204: Success("It is gone.")}
DONE: Final = {204: Success("It is done.")}
KNOWN: Final = {304: Success("The caller has this revision already.", headers=("ETag",))}


def definition(name: str, said: str) -> dict[int, Success]:
    """The answer that has a definition in it."""
    return {200: Success(said, ref(name), JSON_OR_YAML, headers=("ETag", "x-revision"))}


def page(item: str, said: str) -> dict[int, Success]:
    """The answer that is a page of items: in each the same, and what asks for the next page."""
    schema = {
        "type": "object",
        "properties": {
            "items": {"type": "array", "items": ref(item)},
            "cursor": {"type": "string", "description": "Asks for the next page; absent on the last."},
        },
        "required": ["items"],
        "additionalProperties": False,
    }
    return {200: Success(said, schema)}


def record(*, optional: Sequence[str] = (), **fields: Any) -> dict[str, Any]:
    """An object with these fields and no others."""
    return {
        "type": "object",
        "properties": fields,
        "required": [name for name in fields if name not in optional],
        "additionalProperties": False,
    }
