"""Every handler, described. A test fails for one that is not here."""

from collections.abc import Mapping
from typing import Final

from service.http.edge import Handler
from service.http.openapi.operation import Operation, Schema
from service.http.openapi.topics import history, keys, quotas, revisions, runs, secrets, service, workspaces

_TOPICS: Final = (runs, history, workspaces, revisions, quotas, secrets, keys, service)

OPERATIONS: Final[Mapping[Handler, Operation]] = {
    handler: operation for topic in _TOPICS for handler, operation in topic.OPERATIONS.items()
}
SCHEMAS: Final[Schema] = {name: schema for topic in _TOPICS for name, schema in topic.SCHEMAS.items()}
"""What answers and bodies are made of, beside definitions and problems."""
