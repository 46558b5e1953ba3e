"""What is said of parameters that do not fit, and that it is never much."""

import json
import time
from typing import Any

import pytest

from sandbox.parameters import ParametersRefused, Signature
from sandbox.protocol import FRAME_OVERHEAD_BYTES, BadParameters, Problem, encode_frame


def refused(specifications: dict[str, Any], given: Any) -> list[Problem]:
    with pytest.raises(ParametersRefused) as caught:
        Signature(specifications).bind_json(json.dumps(given).encode())
    assert len(encode_frame(BadParameters(run=1, problems=caught.value.problems))) < FRAME_OVERHEAD_BYTES
    return caught.value.problems


def test_every_problem_of_a_small_value_is_told() -> None:
    problems = refused({"x": {"items": {"type": "string"}}, "y": {"required": True}}, {"x": [1, "a", 2], "z": 1})
    assert [(problem.path, problem.message) for problem in problems] == [
        ("parameters.z", "unknown parameter; this function takes x, y"),
        ("parameters.x.0", '1 is not of type "string"'),
        ("parameters.x.2", '2 is not of type "string"'),
        ("parameters.y", "is required"),
    ]


def test_the_offer_is_made_once() -> None:
    problems = refused({"x": {}}, {"a": 1, "b": 2})
    assert [problem.message for problem in problems] == [
        "unknown parameter; this function takes x",
        "unknown parameter",
    ]


def test_sixty_thousand_unknown_names_fit_a_frame() -> None:
    many: dict[str, Any] = {f"parameter_of_a_long_name_{number}": {} for number in range(1000)}
    problems = refused(many, {f"u{number}": 1 for number in range(60_000)})
    assert len(problems) == 101
    assert problems[-1] == Problem(path="parameters", message="59900 more problems")
    assert len(problems[0].message) < 600


@pytest.mark.parametrize("name", ["n" * 1_000_000, "\N{SNOWMAN}" * 300_000, "a\nb" * 1000])
def test_long_names_and_values_are_cut(name: str) -> None:
    assert len(refused({}, {name: 1})[0].path) <= 300
    inner = refused({"x": {"additionalProperties": {"type": "string"}}}, {"x": {name: 1}})
    assert len(inner[0].path) <= 300
    long = refused({"x": {"type": "integer"}}, {"x": name})
    assert len(long[0].message) < 700
    assert len(refused({}, {f"{number}{name}"[:3000]: 1 for number in range(200)})) <= 101


def test_a_large_value_is_looked_at_up_to_its_first_problem() -> None:
    started = time.perf_counter()
    (problem,) = refused({"x": {"items": {"type": "string"}}}, {"x": [1] * 300_000})
    assert problem.path == "parameters.x.0"
    assert problem.message.startswith('1 is not of type "string"; of more than ')
    # All of them take seconds, and nothing interrupts that.
    assert time.perf_counter() - started < 1


def test_a_large_default_that_does_not_fit_is_told_once() -> None:
    specification = {"items": {"type": "string"}, "default": [1] * 30_000}
    (problem,) = Signature({"x": specification}).parameters["x"].specification_problems("p")
    assert problem.path == "p.default.0"


def test_a_default_that_fits_and_a_schema_that_cannot_be_compiled() -> None:
    parameters = Signature({"x": {"type": "string", "default": "a"}, "y": {"pattern": "("}, "z": {}}).parameters
    assert parameters["x"].specification_problems("p") == []
    assert [problem.path for problem in parameters["y"].specification_problems("p")] == ["p"]
    assert parameters["z"].specification_problems("p") == []
