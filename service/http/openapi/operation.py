"""What the table of routes cannot say of a route: what it takes, and what it answers."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from service.http.bodies import YAML
from service.http.problems import JSON, Answer

Schema = Mapping[str, Any]

JSON_OR_YAML: Final = (JSON, YAML)


@dataclass(frozen=True, slots=True)
class Success:
    """An answer that is no problem. Without a schema it has no body."""

    description: str
    schema: Schema | None = None
    media_types: Collection[str] = (JSON,)
    other_types: Mapping[str, Schema] = field(default_factory=dict)
    """Media types in which the same may be asked for in another form."""
    headers: Collection[str] = ()
    """By their names in `headers.RESPONSE_HEADERS`."""


@dataclass(frozen=True, slots=True)
class Query:
    """A parameter of the query."""

    name: str
    schema: Schema
    description: str


@dataclass(frozen=True, slots=True)
class Body:
    """What is sent."""

    schema: Schema
    media_types: Collection[str] = JSON_OR_YAML
    is_required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One handler. Where it serves several methods, the first has the id, and the others add their method to it."""

    id: str
    tag: str
    answers: Mapping[int, Success]
    fails: Collection["type | Answer"] = ()
    """Errors and outcomes, by which `problems.RESPONSES` knows them; those that every such route has go without saying:
    see `failures.failures_of`.
    """
    path: Mapping[str, Schema] = field(default_factory=dict)
    """Names in the path that are not the same everywhere, as `workspace` and `function` are."""
    query: Collection[Query] = ()
    headers: Collection[str] = ()
    """By their names in `headers.REQUEST_HEADERS`."""
    body: Body | None = None


def ref(name: str) -> dict[str, str]:
    """A schema among the components."""
    return {"$ref": f"#/components/schemas/{name}"}
