"""Parameters: each a JSON Schema (draft 2020-12), with `required: true|false` beside it.

A tenant's schema is only ever data here. It is compiled in the tenant's worker: a pattern can be hostile to the regex
compiler, a reference to the resolver. What the metaschema says is asked of the metaschema; the table below says
it first, in words, because the metaschema's own errors name the value and a dozen branches, and cost milliseconds each.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import jsonschema_rs

from service.domain.values import Problems, join, kind, must_be, shown

TYPES: Final = ("string", "number", "integer", "boolean", "object", "array", "null")

_METASCHEMA: Final = jsonschema_rs.Draft202012Validator(
    {"$ref": "https://json-schema.org/draft/2020-12/schema"},
    mask="the value",  # messages repeat values otherwise, and a value can be a megabyte
)

Check = Callable[[Any, str, Problems], None]


def check_parameter(value: object, path: str, problems: Problems) -> None:
    """Report everything wrong with one parameter; its document must have passed `check_values`' depth."""
    if not isinstance(value, dict):
        problems.add(path, must_be("an object that holds a JSON Schema", value))
        return
    schema = value
    if "required" in value and not isinstance(value["required"], list):
        if not isinstance(value["required"], bool):
            problems.add(join(path, "required"), must_be("true or false", value["required"]))
        schema = {name: field for name, field in value.items() if name != "required"}
    _check_schema(schema, path, problems)
    # The table and the metaschema agree (a test holds them together); should they not, the metaschema is right.
    if problems.count == 0 and not _METASCHEMA.is_valid(schema):
        error = next(_METASCHEMA.iter_errors(schema))
        at = path
        for key in error.instance_path:
            at = join(at, str(key))
        problems.add(at, f"is no valid JSON Schema: {shown(error.message)}")


def _check_schema(schema: object, path: str, problems: Problems) -> None:
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        problems.add(path, must_be("a JSON Schema (an object, true or false)", schema))
        return
    for keyword, value in schema.items():
        check = KEYWORDS.get(keyword)
        if check is not None:
            check(value, join(path, keyword), problems)


def _check_type(value: object, path: str, problems: Problems) -> None:
    if isinstance(value, str):
        if value not in TYPES:
            problems.add(path, f"is {shown(value)!r}; the types are {', '.join(TYPES)}")
    elif isinstance(value, list):
        if not value:
            problems.add(path, "must name at least one type")
        for index, item in enumerate(value):
            if not isinstance(item, str) or item not in TYPES:
                what = repr(shown(item)) if isinstance(item, str) else kind(item)
                problems.add(join(path, str(index)), f"is {what}; the types are {', '.join(TYPES)}")
        _check_unique(value, path, problems)
    else:
        problems.add(path, must_be("the name of a type or a list of such names", value))


def _check_unique(values: list[Any], path: str, problems: Problems) -> None:
    names = [value for value in values if isinstance(value, str)]
    if len(set(names)) < len(names):
        problems.add(path, "names something twice")


def _check_string(value: object, path: str, problems: Problems) -> None:
    if not isinstance(value, str):
        problems.add(path, must_be("a string", value))


def _check_boolean(value: object, path: str, problems: Problems) -> None:
    if not isinstance(value, bool):
        problems.add(path, must_be("true or false", value))


def _check_number(value: object, path: str, problems: Problems) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        problems.add(path, must_be("a number", value))


def _check_divisor(value: object, path: str, problems: Problems) -> None:
    if isinstance(value, int | float) and not isinstance(value, bool) and value <= 0:
        problems.add(path, "must be more than 0")
    else:
        _check_number(value, path, problems)


def _check_count(value: object, path: str, problems: Problems) -> None:
    """JSON Schema calls 2.0 an integer too."""
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not isinstance(value, int | float):
        problems.add(path, must_be("a whole number", value))
    elif not whole or value < 0:
        problems.add(path, "must be a whole number, 0 or more")


def _check_array(value: object, path: str, problems: Problems) -> None:
    if not isinstance(value, list):
        problems.add(path, must_be("an array", value))


def _check_names(value: object, path: str, problems: Problems) -> None:
    if not isinstance(value, list):
        problems.add(path, must_be("an array of names", value))
        return
    for index, item in enumerate(value):
        _check_string(item, join(path, str(index)), problems)
    _check_unique(value, path, problems)


def _check_schemas(value: object, path: str, problems: Problems) -> None:
    if not isinstance(value, list):
        problems.add(path, must_be("an array of JSON Schemas", value))
    elif not value:
        problems.add(path, "must hold at least one JSON Schema")
    else:
        for index, item in enumerate(value):
            _check_schema(item, join(path, str(index)), problems)


def _check_dependency(value: object, path: str, problems: Problems) -> None:
    check = _check_names if isinstance(value, list) else _check_schema
    check(value, path, problems)


class Each:
    """An object whose values all pass `check`."""

    def __init__(self, check: Check, what: str) -> None:
        self.check = check
        self._what = what

    def __call__(self, value: object, path: str, problems: Problems) -> None:
        """As every check."""
        if not isinstance(value, dict):
            problems.add(path, must_be(f"an object of {self._what}", value))
            return
        for name, item in value.items():
            if isinstance(name, str):  # that it must be one was reported before
                self.check(item, join(path, name), problems)


def _identifier(characters: str, allowed: Callable[[str], bool]) -> Check:
    def check_identifier(value: object, path: str, problems: Problems) -> None:
        if not isinstance(value, str):
            problems.add(path, must_be("a string", value))
        elif not allowed(value):
            problems.add(path, f"must {characters}")

    return check_identifier


def _is_anchor(text: str) -> bool:
    rest = text.translate(_ANCHOR_REST)
    return text.isascii() and bool(text) and (text[0].isalpha() or text[0] == "_") and (not rest or rest.isalnum())


_ANCHOR_REST: Final = str.maketrans("", "", "-._")


def _is_id(text: str) -> bool:
    return "#" not in text[:-1]


def _table(*rows: tuple[Check, Iterable[str]]) -> dict[str, Check]:
    return {keyword: check for check, keywords in rows for keyword in keywords}


_anchor: Final = _identifier("begin with a letter or _ and go on with letters, digits and any of - _ .", _is_anchor)
KEYWORDS: Final[Mapping[str, Check]] = _table(
    (_check_type, ["type"]),
    (_check_string, ["$schema", "$ref", "$dynamicRef", "$recursiveRef", "$comment", "title", "description"]),
    (_check_string, ["pattern", "format", "contentEncoding", "contentMediaType"]),
    (_identifier("have no # but at its end", _is_id), ["$id"]),
    (_anchor, ["$anchor", "$dynamicAnchor", "$recursiveAnchor"]),
    (Each(_check_boolean, "vocabularies"), ["$vocabulary"]),
    (_check_boolean, ["uniqueItems", "deprecated", "readOnly", "writeOnly"]),
    (_check_number, ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"]),
    (_check_divisor, ["multipleOf"]),
    (_check_count, ["minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"]),
    (_check_count, ["minContains", "maxContains"]),
    (_check_array, ["enum", "examples"]),
    (_check_names, ["required"]),
    (Each(_check_names, "arrays of names"), ["dependentRequired"]),
    (_check_schema, ["items", "contains", "additionalProperties", "propertyNames", "if", "then", "else", "not"]),
    (_check_schema, ["unevaluatedItems", "unevaluatedProperties", "contentSchema"]),
    (_check_schemas, ["allOf", "anyOf", "oneOf", "prefixItems"]),
    (Each(_check_schema, "JSON Schemas"), ["properties", "patternProperties", "dependentSchemas"]),
    (Each(_check_schema, "JSON Schemas"), ["$defs", "definitions"]),
    (Each(_check_dependency, "JSON Schemas or arrays of names"), ["dependencies"]),
)
"""Every keyword that is looked at; others say nothing."""
SUBSCHEMA: Final = _check_schema
SUBSCHEMAS: Final = _check_schemas
"""The checks of keywords that hold schemas themselves; `Each` of one is the third kind."""
