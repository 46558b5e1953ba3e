"""Secrets of workspaces."""

from typing import Any, Final

from service import errors
from service.database.secrets import VALUE_MAX_BYTES
from service.domain.names import VARIABLE_NAME
from service.http import secrets
from service.http.edge import Handler
from service.http.openapi.operation import Body, Operation, ref
from service.http.openapi.topics.common import DONE, GONE, PAGE, TEXT, TIME, page, record
from service.http.problems import JSON

_NAME: Final = {"name": {"type": "string", "pattern": f"^{VARIABLE_NAME.pattern}$", "maxLength": secrets.NAME_MAX}}

SCHEMAS: Final[dict[str, Any]] = {
    "SecretItem": record(name=TEXT, updated=TIME),
    "SecretValue": record(
        value={
            "type": "string",
            "minLength": 1,
            # Of characters beyond ASCII there may be fewer: bytes are what counts.
            "maxLength": VALUE_MAX_BYTES,
            "description": f"At most {VALUE_MAX_BYTES} bytes in UTF-8; never given out again.",
        }
    ),
}

OPERATIONS: Final[dict[Handler, Operation]] = {
    secrets.list_secrets: Operation(
        id="listSecrets", tag="Secrets", query=PAGE, answers=page("SecretItem", "A page of names."),
        fails=(errors.VolumeUnavailable,),
    ),
    secrets.set_secret: Operation(
        id="setSecret", tag="Secrets", path=_NAME, body=Body(ref("SecretValue"), (JSON,)), answers=DONE,
        fails=(errors.SecretsUnreadable, errors.VolumeUnavailable),
    ),
    secrets.delete_secret: Operation(
        id="deleteSecret", tag="Secrets", path=_NAME, answers=GONE,
        fails=(errors.SecretNotFound, errors.VolumeUnavailable),
    ),
}  # fmt: skip
