"""A workspace: a tenant's set of functions, as its author defined it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import orjson

from service.domain.validation import check_workspace


@dataclass(frozen=True, slots=True)
class Workspace:
    """A definition that was validated. Two definitions with the same content have the same revision."""

    name: str
    document: Mapping[str, Any]
    """The workspace object exactly as its author gave it: JSON values, nothing added, nothing reordered."""
    revision: str
    """Hash of the content; what `ETag` carries."""
    timeouts_ms: Mapping[str, int | None]
    """Every function by name, with the timeout its author gave it."""

    @classmethod
    def from_document(cls, name: str, document: object) -> Self:
        """Validate an object that came from outside. Raises: InvalidRequest with every problem."""
        checked = check_workspace(document)
        content = orjson.dumps(checked, option=orjson.OPT_SORT_KEYS)
        return cls(
            name=name,
            document=checked,
            revision=hashlib.sha256(content).hexdigest()[:32],
            timeouts_ms={name: function.get("timeout") for name, function in checked["functions"].items()},
        )

    def definition_json(self) -> bytes:
        """The workspace object as JSON, in its author's order."""
        return orjson.dumps(self.document)
