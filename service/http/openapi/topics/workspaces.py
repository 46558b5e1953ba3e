"""Definitions: workspaces, and single functions of them."""

from typing import Any, Final

from service import errors
from service.http import workspaces
from service.http.bodies import YAML
from service.http.edge import Handler
from service.http.openapi.operation import Body, Operation, ref
from service.http.openapi.topics.common import (
    CHANGES,
    DEPLOYS,
    DRY_RUN,
    GONE,
    KNOWN,
    PAGE,
    STORED,
    TEXT,
    TEXT_OR_NULL,
    definition,
    page,
    record,
)
from service.http.problems import JSON

MERGE_PATCH: Final = "application/merge-patch+json"

SCHEMAS: Final[dict[str, Any]] = {
    "WorkspaceItem": record(
        workspace=ref("WorkspaceName"),
        functions={"type": "array", "items": TEXT},
        revision={**TEXT_OR_NULL, "description": "null if the workspace cannot be read."},
        error={**TEXT, "description": "Why it cannot be read."},
        optional=("error",),
    ),
}

OPERATIONS: Final[dict[Handler, Operation]] = {
    workspaces.list_workspaces: Operation(
        id="listWorkspaces", tag="Workspaces", query=PAGE, fails=(errors.VolumeUnavailable,),
        answers=page("WorkspaceItem", "A page of workspaces."),
    ),
    workspaces.replace: Operation(
        id="deployWorkspace", tag="Workspaces", body=Body(ref("Workspace")), query=(DRY_RUN,), headers=CHANGES,
        answers=definition("Workspace", "The same body."), fails=DEPLOYS,
    ),
    workspaces.patch: Operation(
        id="patchWorkspace", tag="Workspaces", query=(DRY_RUN,), headers=CHANGES, fails=DEPLOYS,
        body=Body(ref("WorkspacePatch"), (MERGE_PATCH, JSON, YAML)),
        answers=definition("Workspace", "The whole definition."),
    ),
    workspaces.read: Operation(
        id="readWorkspace", tag="Workspaces", headers=("If-None-Match",), fails=STORED,
        answers=definition("Workspace", "The definition.") | KNOWN,
    ),
    workspaces.delete: Operation(
        id="deleteWorkspace", tag="Workspaces", query=(DRY_RUN,), headers=CHANGES, answers=GONE,
        fails=(*STORED, errors.PreconditionFailed),
    ),
    workspaces.replace_function: Operation(
        id="deployFunction", tag="Functions", body=Body(ref("Function")), query=(DRY_RUN,), headers=CHANGES,
        answers=definition("Function", "The same body."), fails=DEPLOYS,
    ),
    workspaces.read_function: Operation(
        id="readFunction", tag="Functions", headers=("If-None-Match",), fails=(*STORED, errors.FunctionNotFound),
        answers=definition("Function", "The definition.") | KNOWN,
    ),
    workspaces.delete_function: Operation(
        id="deleteFunction", tag="Functions", query=(DRY_RUN,), headers=CHANGES, answers=GONE,
        fails=(*DEPLOYS, errors.FunctionNotFound),
    ),
}  # fmt: skip
