"""Headers that mean something here."""

from collections.abc import Iterable
from typing import Any, Final

from service.http.changing import MESSAGE, MESSAGE_MAX_CHARACTERS, REVISION
from service.http.follow import EVENT_ID_MAX_DIGITS, LAST_EVENT_ID
from service.http.responses import CORRELATION_ID
from service.http.run_modes import IDEMPOTENCY_KEY, PREFER, REPLAYED

REQUEST_HEADERS: Final = {
    "If-Match": "Go on only if what there is has one of these entity tags, or, for *, if there is anything.",
    "If-None-Match": "Go on only if what there is has none of these entity tags, or, for *, if there is nothing.",
    MESSAGE: "Why: kept with the revision, and shown in the list of them.",
    str(PREFER): "With respond-async the run is accepted now, and run later; other preferences are ignored.",
    str(IDEMPOTENCY_KEY): "Asked again with the same one, within a day, it does not run again: the answer is the same.",
    LAST_EVENT_ID: "The last event that a reader has, which goes on after it.",
}
"""By name: what they do. Their form is that of HTTP, which leaves little that could be wrong with them."""

REQUEST_SCHEMAS: Final[dict[str, dict[str, Any]]] = {
    "If-Match": {"type": "string", "format": "entity-tags"},
    "If-None-Match": {"type": "string", "format": "entity-tags"},
    MESSAGE: {
        "type": "string",
        "format": "header-text",
        "pattern": r"^[^\u0000-\u001f\u007f-\u009f]*$",
        "maxLength": MESSAGE_MAX_CHARACTERS,
    },
    str(PREFER): {"type": "string", "format": "preferences"},
    str(IDEMPOTENCY_KEY): {
        "type": "string",
        "format": "idempotency-key",
        "description": "With quotation marks around it or without; there must be something between them.",
        "pattern": '^(?!""$)[!-~]+$',
        "maxLength": 255,
    },
    LAST_EVENT_ID: {"type": "string", "pattern": f"^[0-9]{{1,{EVENT_ID_MAX_DIGITS}}}$"},
}

RESPONSE_HEADERS: Final[dict[str, dict[str, Any]]] = {
    CORRELATION_ID: {
        "description": "The caller's, if it sent a printable one of at most 128 characters.",
        "schema": {"type": "string"},
    },
    "ETag": {"description": "The revision.", "schema": {"type": "string"}},
    REPLAYED: {
        "description": "The answer is that of an earlier request with the same Idempotency-Key.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Location": {"description": "Where it is.", "schema": {"type": "string"}},
    "Preference-Applied": {"description": "What was preferred, and is done.", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds after which it may be worth another try.", "schema": {"type": "integer"}},
    "WWW-Authenticate": {"description": "How a key is sent.", "schema": {"type": "string"}},
    REVISION: {"description": "The number of the revision.", "schema": {"type": "integer"}},
    "RateLimit-Limit": {"description": "Runs a minute, where there is such a quota.", "schema": {"type": "integer"}},
    "RateLimit-Remaining": {"description": "Runs that may begin now.", "schema": {"type": "integer"}},
    "RateLimit-Reset": {"description": "Seconds until one more may.", "schema": {"type": "integer"}},
    "x-run-id": {"description": "The id of the run.", "schema": {"type": "string"}},
    "server-timing": {
        "description": "Milliseconds that were waited for: queue, cold (a worker had to start), run.",
        "schema": {"type": "string"},
    },
}


def request_headers(names: Iterable[str]) -> list[dict[str, Any]]:
    """As parameters of an operation."""
    return [
        {
            "name": name,
            "in": "header",
            "description": REQUEST_HEADERS[name],
            "schema": REQUEST_SCHEMAS.get(name, {"type": "string"}),
        }
        for name in names
    ]


def response_headers(names: Iterable[str]) -> dict[str, Any]:
    """References to those of a response; the first is on every one."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (CORRELATION_ID, *names)}
