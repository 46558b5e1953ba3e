"""The schemas of parameters: what is wrong with one, in words, and never anything but what the metaschema says."""

from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.parameter_schema import check_parameter
from service.domain.validation import check_workspace
from service.domain.values import Problems
from service.errors import InvalidRequest


def problems_of(document: Any) -> dict[str, str]:
    with pytest.raises(InvalidRequest) as refused:
        check_workspace(document)
    return {problem.path: problem.message for problem in refused.value.problems}


def function(**fields: Any) -> dict[str, Any]:
    return {"functions": {"f": {"code": "", **fields}}}


@pytest.mark.parametrize(
    ("schema", "path", "message"),
    [
        ({"type": "strng"}, "type", "is 'strng'; the types are string, number, integer, "),
        ({"type": 1}, "type", "must be the name of a type or a list of such names, not a number"),
        ({"type": []}, "type", "must name at least one type"),
        ({"type": ["string", 3]}, "type.1", "is a number; the types are"),
        ({"type": ["null", "null"]}, "type", "names something twice"),
        ({"required": "yes"}, "required", "must be true or false, not a string"),
        ({"required": ["a", 1]}, "required.1", "must be a string, not a number"),
        (
            {"properties": {"a": {"required": True}}},
            "properties.a.required",
            "must be an array of names, not a boolean",
        ),
        ({"properties": {"a": {"type": "x"}}}, "properties.a.type", "is 'x'; the types are"),
        ({"items": [{"type": "string"}]}, "items", "must be a JSON Schema (an object, true or false), not an array"),
        ({"minLength": -1}, "minLength", "must be a whole number, 0 or more"),
        ({"minLength": "1"}, "minLength", "must be a whole number, not a string"),
        ({"multipleOf": 0}, "multipleOf", "must be more than 0"),
        ({"enum": "a"}, "enum", "must be an array, not a string"),
        ({"anyOf": []}, "anyOf", "must hold at least one JSON Schema"),
        ({"pattern": 3}, "pattern", "must be a string, not a number"),
        ({"$id": "a#b"}, "$id", "must have no # but at its end"),
        ({"$anchor": "1"}, "$anchor", "must begin with a letter or _"),
        ({"dependencies": {"a": 1}}, "dependencies.a", "must be a JSON Schema"),
    ],
)
def test_what_is_wrong_with_a_parameters_schema_is_said(schema: Any, path: str, message: str) -> None:
    found = problems_of(function(parameters={"p": schema}))
    assert found[f"functions.f.parameters.p.{path}"].startswith(message)


@pytest.mark.parametrize(
    "schema",
    [
        {"required": True, "type": "object"},
        {"required": ["a"], "type": "object"},
        {"minLength": 2.0},
        {"pattern": "("},
        {"$ref": "#/nowhere"},
        {"x-anything": object.__name__},
        {"default": {"type": "strng"}},
        {"enum": [{"type": 1}], "const": {"items": 3}},
    ],
)
def test_a_schema_is_data_and_nothing_in_it_is_compiled(schema: Any) -> None:
    check_workspace(function(parameters={"p": schema}))


_keywords = st.sampled_from([
    "type", "$schema", "$id", "$ref", "$anchor", "$dynamicRef", "$dynamicAnchor", "$vocabulary", "$comment", "$defs",
    "title", "description", "default", "deprecated", "readOnly", "writeOnly", "examples", "enum", "const", "format",
    "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "maxLength", "minLength", "pattern",
    "maxItems", "minItems", "uniqueItems", "maxContains", "minContains", "maxProperties", "minProperties", "required",
    "dependentRequired", "prefixItems", "items", "contains", "additionalProperties", "properties", "patternProperties",
    "dependentSchemas", "propertyNames", "if", "then", "else", "allOf", "anyOf", "oneOf", "not", "unevaluatedItems",
    "unevaluatedProperties", "contentEncoding", "contentMediaType", "contentSchema", "definitions", "dependencies",
    "$recursiveRef", "$recursiveAnchor", "unknown",
])  # fmt: skip
_leaves = st.sampled_from(
    [None, True, False, 0, 1, -1, 2.0, 0.5, -0.5, "", "a", "#", "a#", "string", "null", "1a", "é", "a.b-c"]
)
_schemas = st.recursive(
    _leaves | st.fixed_dictionaries({}, optional={"type": _leaves}),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keywords, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(_keywords, _schemas, max_size=3))
def test_the_table_of_keywords_agrees_with_the_metaschema(schema: dict[str, Any]) -> None:
    schema.pop("required", None)  # means something else at the top of a parameter
    problems = Problems()
    check_parameter(schema, "p", problems)
    metaschema = jsonschema_rs.Draft202012Validator({"$ref": "https://json-schema.org/draft/2020-12/schema"})
    assert (problems.count == 0) == metaschema.is_valid(schema)
    problems.add("", "so that there is one")
    with pytest.raises(InvalidRequest) as refused:
        problems.raise_if_any()
    assert not any("is no valid JSON Schema" in problem.message for problem in refused.value.problems)
