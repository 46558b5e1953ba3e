"""Definitions from outside: every problem, each where it is, in words; and nothing that gets past the check."""

import builtins
import keyword
from typing import Any

import jsonschema_rs
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.names import function_name_problem, is_function_name, is_parameter_name, is_workspace_name
from service.domain.parameter_schema import check_parameter
from service.domain.validation import check_function, check_workspace
from service.domain.values import DEPTH_MAX, PROBLEMS_MAX, VALUES_MAX, Problems
from service.domain.workspace import Workspace
from service.errors import InvalidRequest, Problem

FULL: dict[str, Any] = {
    "description": "Everything there is.",
    "functions": {
        "hello": {
            "description": "Greets somebody.",
            "language": "python",
            "parameters": {
                "name": {"type": "string", "default": "world"},
                "from": {"type": ["string", "null"], "required": True},
                "shape": {"type": "object", "properties": {"a": True}, "required": ["a"]},
                "anything": {},
            },
            "timeout": 5000,
            "code": 'return "Hello " + name\n',
        },
        "größe": {"code": ""},
    },
    "env": {"API_KEY": "x", "_b": ""},
    "network": {"allow": ["example.com"]},
    "pool": {"floor": 0, "cruise": 1, "ceil": 2, "concurrency": 10, "queue": 5, "timeout": 100},
    "limits": {"runs_per_minute": 10, "ratio": 0.5},
}


def problems_of(document: Any) -> dict[str, str]:
    with pytest.raises(InvalidRequest) as refused:
        check_workspace(document)
    return {problem.path: problem.message for problem in refused.value.problems}


def function(**fields: Any) -> dict[str, Any]:
    return {"functions": {"f": {"code": "", **fields}}}


def test_a_definition_with_every_field_is_given_back_as_it_is() -> None:
    assert check_workspace(FULL) is FULL


def test_a_workspace_may_have_no_functions() -> None:
    assert check_workspace({"functions": {}}) == {"functions": {}}


def test_the_revision_is_of_the_content_and_not_of_its_order() -> None:
    one = Workspace.from_document("a", {"description": "x", "functions": {}})
    other = Workspace.from_document("b", {"functions": {}, "description": "x"})
    assert one.revision == other.revision
    assert one.definition_json() == b'{"description":"x","functions":{}}'


@pytest.mark.parametrize(
    ("document", "path", "message"),
    [
        (None, "", "must be an object, not null"),
        ([], "", "must be an object, not an array"),
        ("x", "", "must be an object, not a string"),
        ({}, "functions", "is required"),
        ({"functions": None}, "functions", "must be an object of functions by name, not null"),
        ({"functions": []}, "functions", "must be an object of functions by name, not an array"),
        ({"functions": {}, "foo": 1}, "foo", "is no field of a workspace; its fields are functions, "),
        ({"functions": {}, "description": 5}, "description", "must be a string, not a number"),
        ({"functions": {"f": "code"}}, "functions.f", "must be an object, not a string"),
        ({"functions": {"f": {}}}, "functions.f.code", "is required"),
        (function(code=None), "functions.f.code", "must be a string, not null"),
        (function(code=["x"]), "functions.f.code", "must be a string, not an array"),
        (function(language="node"), "functions.f.language", "is 'node'; the only language is 'python'"),
        (function(language=1), "functions.f.language", "must be a string, not a number"),
        (function(timeout=0), "functions.f.timeout", "must be 1 or more"),
        (function(timeout=True), "functions.f.timeout", "must be a whole number of milliseconds, not a boolean"),
        (function(timeout=1.5), "functions.f.timeout", "must be a whole number of milliseconds, without a fraction"),
        (function(timeout="5"), "functions.f.timeout", "must be a whole number of milliseconds, not a string"),
        (function(timout=5), "functions.f.timout", "is no field of a function; its fields are code, "),
        (function(parameters=[]), "functions.f.parameters", "must be an object of parameters by name, not an array"),
        (function(parameters={"a": "string"}), "functions.f.parameters.a", "must be an object that holds a JSON Sch"),
        (function(parameters={"": {}}), "functions.f.parameters.", "is no name for a parameter"),
        (function(parameters={"a\nb": {}}), "functions.f.parameters.a\nb", "is no name for a parameter"),
        ({"functions": {}, "env": {"A-B": "x"}}, "env.A-B", "is no name for a variable"),
        ({"functions": {}, "env": {"A": 1}}, "env.A", "must be a string, not a number"),
        ({"functions": {}, "env": "A=1"}, "env", "must be an object of strings by name, not a string"),
        ({"functions": {}, "network": {"allow": "x"}}, "network.allow", "must be an array of strings, not a string"),
        ({"functions": {}, "network": {"allow": [1]}}, "network.allow.0", "must be a string, not a number"),
        ({"functions": {}, "network": {"deny": []}}, "network.deny", "is no field of the network"),
        ({"functions": {}, "pool": {"floor": -1}}, "pool.floor", "must be 0 or more"),
        ({"functions": {}, "pool": {"floor": 3, "ceil": 2}}, "pool.ceil", "must not be less than floor, which is 3"),
        ({"functions": {}, "pool": {"cruise": 3, "ceil": 2}}, "pool.ceil", "must not be less than cruise, which is 3"),
        ({"functions": {}, "limits": {"a": -0.1}}, "limits.a", "must be 0 or more"),
        ({"functions": {}, "limits": {"a": True}}, "limits.a", "must be a number, not a boolean"),
        ({"functions": {"len": {"code": ""}}}, "functions.len", "is no name for a function: it would hide"),
        # Values that JSON or UTF-8 cannot carry, wherever they are.
        (function(code="a\ud800"), "functions.f.code", "has half a surrogate pair in it"),
        (
            function(parameters={"a": {"default": {"\udfff": 1}}}),
            "functions.f.parameters.a.default.\\udfff",
            "has half a surrogate pair in its name",
        ),
        (function(timeout=2**64), "functions.f.timeout", "is an integer of more than 64 bits"),
        (function(parameters={"a": {"default": float("nan")}}), "functions.f.parameters.a.default", "is no finite"),
        (
            function(parameters={"a": {"default": {1}}}),
            "functions.f.parameters.a.default",
            "must be a JSON value, not a P",
        ),
        ({"functions": {1: {"code": ""}}}, "functions", "has a key that is a number: every key must be a string"),
    ],
)
def test_what_is_wrong_is_said_where_it_is(document: Any, path: str, message: str) -> None:
    assert problems_of(document)[path].startswith(message)


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


def test_every_problem_is_reported_at_once() -> None:
    document = {
        "functions": {"a": {"timeout": 0}, "class": {"code": 1, "parameters": {"p": {"type": "x"}}}},
        "env": {"1": 2},
        "x": "\ud800",
    }
    assert set(problems_of(document)) == {
        "functions.a.code",
        "functions.a.timeout",
        "functions.class",
        "functions.class.code",
        "functions.class.parameters.p.type",
        "env.1",
        "x",
    }


def test_beyond_a_number_problems_are_only_counted() -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_workspace({"functions": {}, **{f"field{number}": 1 for number in range(PROBLEMS_MAX + 50)}})
    assert len(refused.value.problems) == PROBLEMS_MAX + 1
    assert refused.value.problems[-1].message == "there are 50 more problems"


def test_a_message_does_not_repeat_a_megabyte() -> None:
    huge = "x" * 1_000_000
    document = {
        huge: 1,
        "functions": {huge: {"code": ""}, "f": {"code": "", "language": huge, "parameters": {"p": {"type": huge}}}},
    }
    for path, message in problems_of(document).items():
        assert len(path) + len(message) < 500


def test_problems_can_always_be_sent_as_json() -> None:
    found = problems_of({"\ud800" * 3: {"\udfff": "\ud800"}, "functions": {"\ud800": 1}})
    assert orjson.dumps(found)


@pytest.mark.parametrize("bracket", ["list", "dict"])
def test_deep_nesting_is_a_problem_and_no_recursion(bracket: str) -> None:
    value: Any = 1
    for _ in range(100_000):
        value = [value] if bracket == "list" else {"a": value}
    found = problems_of({"functions": {}, "x": value})
    assert list(found.values()) == [f"is nested too deeply: at most {DEPTH_MAX} objects and arrays in one another"]


def test_the_greatest_depth_is_allowed() -> None:
    value: Any = {}
    for _ in range(DEPTH_MAX - 6):  # the workspace, functions, f, parameters, p, the value itself
        value = {"a": value}
    check_workspace(function(parameters={"p": {"default": value}}))
    with pytest.raises(InvalidRequest):
        check_workspace(function(parameters={"p": {"default": [value]}}))


def test_too_many_values_are_one_problem() -> None:
    found = problems_of({"functions": {}, "x": [0] * (VALUES_MAX + 1)})
    assert found == {"": f"has too much in it: at most {VALUES_MAX} names and values"}


def test_the_paths_of_one_function_begin_at_the_function() -> None:
    assert check_function({"code": ""}) == {"code": ""}
    with pytest.raises(InvalidRequest) as refused:
        check_function({"parameters": {"p": {"type": "x"}}})
    assert {problem.path for problem in refused.value.problems} == {"code", "parameters.p.type"}


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(alphabet=st.characters(), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["functions", "code", "f", "parameters", "env", "pool", "x", "type", "required"]), inner
        )
    ),
    max_leaves=20,
)


@given(json_like)
def test_any_document_is_accepted_or_refused_with_problems(document: Any) -> None:
    problems: list[Problem] = []
    try:
        check_workspace(document)
    except InvalidRequest as refused:
        problems = refused.problems
    assert orjson.dumps([(problem.path, problem.message) for problem in problems])
    assert problems or orjson.dumps(document)


@pytest.mark.parametrize("name", ["a", "A9", "0", "a-b_c", "x" * 63])
def test_a_workspace_may_be_called_this(name: str) -> None:
    assert is_workspace_name(name)


@pytest.mark.parametrize(
    "name",
    ["", "-a", "_a", ".", "..", "../x", "a/b", "a.b", "a b", "a\n", "x" * 64, "é", "\uff11", "a\0", "😀", "x" * 10**6],
)
def test_a_workspace_may_not_be_called_this(name: str) -> None:
    assert not is_workspace_name(name)


@pytest.mark.parametrize("name", ["f", "hello_world", "F2", "größe", "match", "case", "help", "x" * 64])
def test_a_function_may_be_called_this(name: str) -> None:
    assert is_function_name(name)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "it is empty"),
        ("x" * 65, "too long"),
        ("_f", "underscore"),
        ("__init__", "underscore"),
        ("1f", "begin with a letter"),
        ("a-b", "begin with a letter"),
        ("a\n", "begin with a letter"),
        ("class", "keyword"),
        ("None", "keyword"),
        ("ﬁ", "Python reads it as 'fi'"),
        ("print", "hide"),
        ("cache", "hide"),
        ("ValueError", "hide"),
    ],
)
def test_a_function_may_not_be_called_this(name: str, why: str) -> None:
    assert why in (function_name_problem(name) or "")


@pytest.mark.parametrize(
    "name", [*keyword.kwlist, "sorted", "Exception", "open", *(n for n in dir(builtins) if n[0] == "_")]
)
def test_no_function_takes_a_name_of_the_language(name: str) -> None:
    assert not is_function_name(name)


@pytest.mark.parametrize(
    ("name", "is_name"),
    [
        ("a", True),
        ("from", True),
        ("x-y", True),
        ("a b", True),
        ("😀", True),
        ("", False),
        ("x" * 65, False),
        ("a\x85", False),
    ],
)
def test_what_a_parameter_may_be_called(name: str, is_name: bool) -> None:
    assert is_parameter_name(name) is is_name
