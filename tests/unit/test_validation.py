"""Definitions from outside: every problem, each where it is, in words; and nothing that gets past the check."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.validation import check_function, check_workspace
from service.domain.values import DEPTH_MAX, PROBLEMS_MAX, VALUES_MAX
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
    "limits": {"runs_per_minute": 10, "runs_concurrent": 2},
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


def test_the_revision_is_of_the_content_and_its_order() -> None:
    one = Workspace.from_document("a", {"description": "x", "functions": {}})
    same = Workspace.from_document("b", {"description": "x", "functions": {}})
    # Parameters are passed in their order, so that it is part of what a definition says.
    other = Workspace.from_document("b", {"functions": {}, "description": "x"})
    assert one.revision == same.revision != other.revision
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
        ({"functions": {}, "network": {"allow": "x"}}, "network.allow", "must be an array of rules such as"),
        ({"functions": {}, "network": {"allow": [1]}}, "network.allow.0", "must be a string, not a number"),
        ({"functions": {}, "network": {"deny": []}}, "network.deny", "is no field of the network"),
        ({"functions": {}, "pool": {"floor": -1}}, "pool.floor", "must be 0 or more"),
        ({"functions": {}, "pool": {"floor": 3, "ceil": 2}}, "pool.ceil", "must not be less than floor, which is 3"),
        ({"functions": {}, "pool": {"cruise": 3, "ceil": 2}}, "pool.ceil", "must not be less than cruise, which is 3"),
        ({"functions": {}, "limits": {"runs_per_minute": 0}}, "limits.runs_per_minute", "must be 1 or more"),
        (
            {"functions": {}, "limits": {"runs_concurrent": True}},
            "limits.runs_concurrent",
            "must be a whole number, not a boolean",
        ),
        (
            {"functions": {}, "limits": {"ratio": 1}},
            "limits.ratio",
            "is no field of the limits; its fields are runs_per_minute, runs_concurrent",
        ),
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
