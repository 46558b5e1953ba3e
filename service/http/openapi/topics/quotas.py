"""What a workspace may have."""

from typing import Any, Final

from service.domain.quotas import LIMIT_NAMES, QUOTA_NAMES, most_of
from service.http import quotas
from service.http.edge import Handler
from service.http.openapi.operation import Body, Operation, Success, ref
from service.http.openapi.topics.common import GONE, WHOLE, record

_QUOTAS: Final[dict[str, Any]] = {
    name: {"type": "integer", "minimum": 0, "maximum": most_of(name), "description": "0 is no limit."}
    for name in QUOTA_NAMES
}
_LIMITS: Final[dict[str, Any]] = dict.fromkeys(LIMIT_NAMES, WHOLE)
_SHOWN: Final = {200: Success("What holds, and what is used.", ref("WorkspaceQuotas"))}

SCHEMAS: Final[dict[str, Any]] = {
    "Quotas": record(**_QUOTAS),
    "QuotaOverride": record(**_QUOTAS, optional=QUOTA_NAMES),
    "WorkspaceQuotas": record(
        workspace=ref("WorkspaceName"),
        quotas=ref("Quotas"),
        overridden={
            "type": "array",
            "items": {"type": "string", "enum": QUOTA_NAMES},
            "description": "Those that are set for this workspace alone.",
        },
        limits={
            **record(**_LIMITS),
            "description": "What holds with what the workspace says itself; 0 is no limit.",
        },
        usage=record(
            runs_left={"type": ["integer", "null"], "description": "That may begin now; null without a rate."},
            runs_concurrent=WHOLE,
            runs_waiting=WHOLE,
            functions=WHOLE,
            code_bytes=WHOLE,
        ),
    ),
}

OPERATIONS: Final[dict[Handler, Operation]] = {
    quotas.read_quotas: Operation(id="readQuotas", tag="Quotas", answers=_SHOWN),
    quotas.set_quotas: Operation(id="setQuotas", tag="Quotas", body=Body(ref("QuotaOverride")), answers=_SHOWN),
    quotas.delete_quotas: Operation(id="deleteQuotas", tag="Quotas", answers=GONE),
}  # fmt: skip
