"""A workspace: a tenant's set of functions, as its author defined it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import orjson

from service.domain.egress import Rules, parse_rules
from service.domain.quotas import OwnLimits
from service.domain.validation import check_workspace


@dataclass(frozen=True, slots=True)
class Workspace:
    """A definition that was validated. Two definitions with the same content have the same revision."""

    name: str
    document: Mapping[str, Any]
    """The workspace object exactly as its author gave it: JSON values, nothing added, nothing reordered."""
    revision: str
    """Hash of the content, its order included: parameters are passed in it. What `ETag` carries."""
    network: Rules | None
    """What its functions may reach, if it says so; it can only narrow what the operator allows."""
    limits: OwnLimits | None
    """What it leaves of its quotas to itself, if it says so."""
    timeouts_ms: Mapping[str, int | None]
    """Every function by name, with the timeout its author gave it."""

    @classmethod
    def from_document(cls, name: str, document: object) -> Self:
        """Validate an object that came from outside. Raises: InvalidRequest with every problem."""
        checked = check_workspace(document)
        return cls(
            name=name,
            document=checked,
            revision=revision_of(checked),
            network=_network(checked.get("network")),
            limits=OwnLimits(**checked["limits"]) if "limits" in checked else None,
            timeouts_ms={name: function.get("timeout") for name, function in checked["functions"].items()},
        )

    @property
    def pool(self) -> Mapping[str, Any] | None:
        """What its author says of its pool, checked; see `domain.pool`."""
        pool: Mapping[str, Any] | None = self.document.get("pool")
        return pool

    def sources(self) -> dict[str, str]:
        """The code of every function."""
        return {name: function["code"] for name, function in self.document["functions"].items()}

    def definition_json(self) -> bytes:
        """The workspace object as JSON, in its author's order."""
        return orjson.dumps(self.document)


def _network(field: Mapping[str, Any] | None) -> Rules | None:
    allow = None if field is None else field.get("allow")
    return None if allow is None else parse_rules(allow)


def revision_of(document: object) -> str:
    """The revision of a definition, or of a part of one that is addressed by itself."""
    return hashlib.sha256(orjson.dumps(document)).hexdigest()[:32]
