"""Keys, and the log of what was done with them."""

from typing import Any, Final

from service import errors
from service.domain.keys import NAME_MAX, ROLES, WORKSPACES_MAX
from service.domain.names import WORKSPACE_NAME
from service.http import audit, keys_api
from service.http.edge import Handler
from service.http.openapi.operation import Body, Operation, Query, Success, ref
from service.http.openapi.topics.common import (
    GONE,
    PAGE,
    TEXT,
    TEXT_OR_NULL,
    TIME,
    TIME_OR_NULL,
    page,
    record,
)

_ID: Final = {"id": {"type": "string", "description": "The part of a key between its underscores."}}
_WORKSPACES: Final = {
    "type": ["array", "null"],
    "description": "Names, and prefixes with a star at the end; null for every workspace.",
    "items": {"type": "string", "pattern": rf"^{WORKSPACE_NAME.pattern}\*?$"},
    "minItems": 1,
    "maxItems": WORKSPACES_MAX,
}
_ROLE: Final = {"type": "string", "enum": ROLES}
_KEY: Final[dict[str, Any]] = {
    "id": TEXT,
    "name": TEXT,
    "role": _ROLE,
    "workspaces": _WORKSPACES,
    "state": {"type": "string", "enum": ["good", "expired", "revoked"]},
    "created": TIME,
    "expires": TIME_OR_NULL,
    "last_used": TIME_OR_NULL,
    "revoked": TIME_OR_NULL,
}
_AUDITED: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "workspace": (TEXT, "Only of this workspace."),
    "action": (TEXT, "Only this, such as `workspace.deployed`."),
    "key": (TEXT, "Only what was done with the key of this name."),
    "since": (TIME, "From then on."),
    "until": (TIME, "Before then."),
}

SCHEMAS: Final[dict[str, Any]] = {
    "Key": record(**_KEY),
    "MintedKey": record(**_KEY, key={"type": "string", "description": "The key: nothing shows it ever again."}),
    "NewKey": record(
        name={"type": "string", "format": "key-name", "minLength": 1, "maxLength": NAME_MAX},
        role=_ROLE,
        workspaces=_WORKSPACES,
        expires={
            "anyOf": [{"type": "string", "format": "expiry"}, {"type": "null"}],
            "description": "A time, such as 2030-01-31T12:00:00Z; or how long from now: 90s, 30m, 12h, 30d, 4w.",
        },
        optional=("workspaces", "expires"),
    ),
    "AuditLine": record(
        time=TIME,
        key=TEXT,
        address=TEXT,
        action=TEXT,
        workspace=TEXT_OR_NULL,
        subject=TEXT_OR_NULL,
        details={"description": "What else is to be said of this action, if anything."},
    ),
}

OPERATIONS: Final[dict[Handler, Operation]] = {
    keys_api.list_keys: Operation(id="listKeys", tag="Keys", query=PAGE, answers=page("Key", "A page of keys.")),
    keys_api.create_key: Operation(
        id="createKey", tag="Keys", body=Body(ref("NewKey")), fails=(errors.KeyNameTaken,),
        answers={201: Success("The key.", ref("MintedKey"), headers=("Location",))},
    ),
    keys_api.read_key: Operation(
        id="readKey", tag="Keys", path=_ID, fails=(errors.KeyNotFound,),
        answers={200: Success("What is known of it.", ref("Key"))},
    ),
    keys_api.revoke_key: Operation(
        id="revokeKey", tag="Keys", path=_ID, answers=GONE, fails=(errors.KeyNotFound,)
    ),
    audit.list_audit: Operation(
        id="listAudit", tag="The service", answers=page("AuditLine", "A page of lines."),
        query=(*PAGE, *(Query(name, schema, said) for name, (schema, said) in _AUDITED.items())),
    ),
}  # fmt: skip
