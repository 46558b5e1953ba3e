"""A tenant's own schemas, in a document that others read: hostile input, like everything that a tenant sends.

A parameter's schema is a document of its own, with references into itself; in here it is a part of another, where the
same references point elsewhere or nowhere. What it refers to becomes a component; what cannot be moved safely (an
`$id`, anchors, references in a circle or into the middle of something) leaves the parameter without a schema.
Its depth is `values.DEPTH_MAX` at the most: definitions are held to that before they are stored.
"""

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final
from urllib.parse import unquote

from service.domain import parameter_schema
from service.domain.urls import URL_MAX_CHARACTERS
from service.http.openapi.operation import ref

DEFINITIONS_MAX: Final = 100
"""Readers follow references in recursion: a longer chain could be too long for one."""
NOT_TOLD: Final = "Its schema is checked when it is run, and cannot be told here."

_DEFINITIONS: Final = ("$defs", "definitions")
_PREFIX: Final = "Definition"
_POINTERS: Final = tuple(f"#/{keyword}/" for keyword in _DEFINITIONS)
_IMMOVABLE: Final = frozenset({
    "$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor", "$vocabulary",
    "dependencies",
})  # fmt: skip
_SILENT: Final = frozenset({"$schema", "$comment", *_DEFINITIONS})
"""What means something only in a document of its own."""
_NOTES: Final = frozenset({"default", "examples"})
_VALUES: Final = frozenset({"const", "enum", *_NOTES})
"""What holds values and no schemas, whatever they look like."""


CALLBACK: Final[dict[str, Any]] = {
    "type": ["string", "null"],
    "format": "callback-url",
    "description": "Where the end of the run is told; only with `Prefer: respond-async`.",
    "maxLength": URL_MAX_CHARACTERS,
}


class CannotTell(Exception):
    """This schema has no place in another document."""


def parameters_body(
    function: str, parameters: Mapping[str, Mapping[str, Any]], schemas: dict[str, Any]
) -> dict[str, Any]:
    """The body of a run of a function with these parameters; what it refers to goes into `schemas`."""
    required = [name for name, specification in parameters.items() if specification.get("required") is True]
    wanted: dict[str, Any] = {
        "type": "object",
        "properties": {
            name: told(f"{function}_{name}", specification, schemas) for name, specification in parameters.items()
        },
        "additionalProperties": False,
    }
    body: dict[str, Any] = {
        "type": "object",
        "properties": {"parameters": wanted, "callback": CALLBACK},
        "additionalProperties": False,
    }
    if required:
        wanted["required"], body["required"] = required, ["parameters"]
    return body


def told(name: str, specification: Mapping[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """One parameter's schema, as it can stand in another document."""
    schema = {
        keyword: value
        for keyword, value in specification.items()
        if keyword != "required" or not isinstance(value, bool)
    }
    try:
        moved, definitions = _moved(name, schema, first=len(schemas))
    except CannotTell:
        given = schema.get("description", "")
        return {"description": f"{given}\n\n{NOT_TOLD}".strip()} | {
            keyword: schema[keyword] for keyword in ("default",) if keyword in schema and not _refers(schema[keyword])
        }
    schemas.update(definitions)
    return moved


def _moved(name: str, schema: Mapping[str, Any], *, first: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The schema, and by name what it refers to. Raises: CannotTell."""
    names: dict[str, str] = {}

    def component(pointer: str) -> str:
        if pointer not in names:
            if len(names) >= DEFINITIONS_MAX:
                raise CannotTell
            last = pointer.rpartition("/")[2]
            names[pointer] = f"{_PREFIX}{first + len(names)}_{_plain(name)}_{_plain(last)}"
        return names[pointer]

    moved = _moved_schema(schema, _Mover(component))
    made: dict[str, Any] = {}
    needs: dict[str, set[str]] = {}
    done = 0
    while done < len(names):
        pointer = list(names)[done]
        done += 1
        mover = _Mover(component)
        made[names[pointer]] = _moved_schema(_definition(schema, pointer), mover)
        needs[names[pointer]] = mover.seen
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        raise CannotTell from error
    return moved, made


class _Mover:
    """Turns references into those to components, and remembers them."""

    def __init__(self, component: Any) -> None:
        self._component = component
        self.seen: set[str] = set()

    def __call__(self, reference: str) -> dict[str, str]:
        if not reference.startswith(_POINTERS):
            raise CannotTell
        name = self._component(reference)
        self.seen.add(name)
        return ref(name)


def _definition(schema: Mapping[str, Any], pointer: str) -> Any:
    """What a reference points to (RFC 6901). Raises: CannotTell."""
    keyword, _, name = pointer.removeprefix("#/").partition("/")
    definitions = schema.get(keyword)
    key = unquote(name)
    if "/" in key or not isinstance(definitions, Mapping):
        raise CannotTell
    key = key.replace("~1", "/").replace("~0", "~")
    if key not in definitions:
        raise CannotTell
    return definitions[key]


def _moved_schema(schema: Any, move: _Mover) -> dict[str, Any]:
    if isinstance(schema, bool):
        return {} if schema else {"not": {}}
    moved: dict[str, Any] = {}
    for keyword, value in schema.items():
        if keyword in _IMMOVABLE:
            raise CannotTell
        if keyword == "$ref":
            moved |= move(value)
        elif keyword in _VALUES:
            if not _refers(value):
                moved[keyword] = value
            elif keyword not in _NOTES:
                raise CannotTell
        elif keyword in parameter_schema.KEYWORDS and keyword not in _SILENT:
            moved[keyword] = _moved_value(parameter_schema.KEYWORDS[keyword], value, move)
    return moved


def _moved_value(check: parameter_schema.Check, value: Any, move: _Mover) -> Any:
    if check is parameter_schema.SUBSCHEMA:
        return _moved_schema(value, move)
    if check is parameter_schema.SUBSCHEMAS:
        return [_moved_schema(item, move) for item in value]
    if isinstance(check, parameter_schema.Each):
        return {name: _moved_value(check.check, item, move) for name, item in value.items()}
    return value


def _refers(value: Any) -> bool:
    """Whether a careless reader would take something in it for a reference."""
    return any(isinstance(item, dict) and "$ref" in item for item in _within(value))


def _within(value: Any) -> Iterator[Any]:
    pending = [value]
    while pending:
        item = pending.pop()
        yield item
        if isinstance(item, dict):
            pending += item.values()
        elif isinstance(item, list):
            pending += item


def _plain(text: str) -> str:
    return "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in text[:40])
