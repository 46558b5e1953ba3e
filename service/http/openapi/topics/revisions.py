"""Revisions of workspaces, aliases for them, and functions that are not to run."""

from typing import Any, Final

from service import errors
from service.database.revisions import FUNCTIONS_MAX
from service.domain.names import WORKSPACE_NAME
from service.domain.releases import NUMBER_MAX, TARGETS_MAX
from service.http import aliases, revisions
from service.http.edge import Handler
from service.http.openapi.operation import JSON_OR_YAML, Body, Operation, Query, Success, ref
from service.http.openapi.topics.common import (
    CHANGES,
    DEPLOYS,
    DONE,
    DRY_RUN,
    GONE,
    KNOWN,
    PAGE,
    STORED,
    TEXT,
    TEXT_OR_NULL,
    TIME,
    WHOLE,
    page,
    record,
)

_NUMBER: Final = {"type": "integer", "minimum": 1, "maximum": NUMBER_MAX}
_REVISION: Final = {"revision": _NUMBER}
_ALIAS: Final = {"alias": {"type": "string", "pattern": f"^(?![0-9]){WORKSPACE_NAME.pattern}$"}}
_WEIGHTS: Final = {
    "type": "object",
    "description": "Weights by the number of a revision.",
    "propertyNames": {"pattern": "^[1-9][0-9]{0,8}$"},
    "additionalProperties": {"type": "number", "exclusiveMinimum": 0, "maximum": 1e9},
    "minProperties": 1,
    "maxProperties": TARGETS_MAX,
}
_DIFF: Final[dict[str, Any]] = {"from": WHOLE, "to": WHOLE, "diff": TEXT}
_UNKNOWN: Final = (*STORED, errors.RevisionNotFound)

SCHEMAS: Final[dict[str, Any]] = {
    "Revision": record(
        number=WHOLE,
        etag=TEXT,
        created=TIME,
        key=TEXT_OR_NULL,
        message=TEXT_OR_NULL,
        live={"type": "boolean", "description": "Whether it is what runs get that ask for no other."},
        functions={
            "type": "array",
            "items": TEXT,
            "maxItems": FUNCTIONS_MAX,
            "description": "The first of their names.",
        },
        functions_count=WHOLE,
    ),
    # By name and not in one another: generators of clients make a class of each, and stumble over what has no name.
    "Weights": _WEIGHTS,
    "OneRevision": record(revision=_NUMBER),
    "SeveralRevisions": record(revisions=ref("Weights")),
    "AliasTargets": {"oneOf": [ref("OneRevision"), ref("SeveralRevisions")]},
    "Alias": record(alias=TEXT, revision=WHOLE, revisions=ref("Weights"), optional=("revision", "revisions")),
    "RevisionDiff": record(**_DIFF),
}

OPERATIONS: Final[dict[Handler, Operation]] = {
    revisions.list_revisions: Operation(
        id="listRevisions", tag="Revisions", query=PAGE, fails=_UNKNOWN,
        answers=page("Revision", "A page of revisions."),
    ),
    revisions.read_revision: Operation(
        id="readRevision", tag="Revisions", path=_REVISION, headers=("If-None-Match",), fails=_UNKNOWN,
        answers={200: Success("The definition.", ref("Workspace"), JSON_OR_YAML, headers=("ETag", "x-revision"))}
        | KNOWN,
    ),
    revisions.diff_revisions: Operation(
        id="diffRevisions", tag="Revisions", path=_REVISION, fails=_UNKNOWN,
        query=(Query("from", _NUMBER, "The other one; without it, the one before."),),
        answers={200: Success("What differs, as YAML.", ref("RevisionDiff"), other_types={"text/x-diff": TEXT})},
    ),
    revisions.activate_revision: Operation(
        id="activateRevision", tag="Revisions", path=_REVISION, query=(DRY_RUN,),
        headers=CHANGES, fails=(*DEPLOYS, errors.RevisionNotFound),
        answers={200: Success("It is live.", ref("Revision"), headers=("ETag", "x-revision"))},
    ),
    aliases.list_aliases: Operation(
        id="listAliases", tag="Aliases", query=PAGE, answers=page("Alias", "A page of aliases."), fails=STORED
    ),
    aliases.read_alias: Operation(
        id="readAlias", tag="Aliases", path=_ALIAS, fails=(*STORED, errors.AliasNotFound),
        answers={200: Success("What it names.", ref("Alias"))},
    ),
    aliases.set_alias: Operation(
        id="setAlias", tag="Aliases", path=_ALIAS, headers=("x-deploy-message",), body=Body(ref("AliasTargets")),
        fails=(*_UNKNOWN, errors.WorkersUnavailable), answers={200: Success("What it names.", ref("Alias"))},
    ),
    aliases.delete_alias: Operation(
        id="deleteAlias", tag="Aliases", path=_ALIAS, headers=("x-deploy-message",), answers=GONE,
        fails=(*STORED, errors.AliasNotFound),
    ),
    aliases.disable_function: Operation(
        id="disableFunction", tag="Functions", headers=("x-deploy-message",), answers=DONE,
        fails=(*STORED, errors.FunctionNotFound),
    ),
    aliases.enable_function: Operation(
        id="enableFunction", tag="Functions", headers=("x-deploy-message",), answers=DONE,
        fails=(*STORED, errors.FunctionNotFound),
    ),
}  # fmt: skip
