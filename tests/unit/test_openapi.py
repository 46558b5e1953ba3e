"""The documents: every route is in them, every problem has its form, and they are what generators can read."""

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import orjson
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from service import errors
from service.domain import outcome, validation
from service.domain.access import Need
from service.domain.idempotency import parse_key
from service.domain.values import Problems
from service.http.openapi.document import Surface, service_document
from service.http.openapi.headers import REQUEST_SCHEMAS
from service.http.openapi.operations import OPERATIONS, SCHEMAS
from service.http.problems import error_response, internal_response, outcome_response
from service.http.routes import ROUTES
from service.http.run_modes import IDEMPOTENCY_KEY, lost
from tests.unit.test_validation import FULL

SURFACE = Surface(ROUTES, OPERATIONS, SCHEMAS)
DOCUMENT = service_document(SURFACE, server="/", has_keys=True)
PROBLEM = errors.Problem("functions.f", "is wrong")
CODE_ERROR = errors.CodeError("f", 1, 1, "is wrong", "x = (\n    ^")


def validator(schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    whole = orjson.loads(orjson.dumps({**schema, "components": DOCUMENT["components"]}))
    return jsonschema_rs.Draft202012Validator(whole)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def test_every_route_is_described() -> None:
    assert {route.handler for route in ROUTES} == set(OPERATIONS), "describe it in service/http/openapi/topics"
    told = {(method, path) for method, path, _operation in operations(DOCUMENT)}
    assert told == {(route.method.lower(), route.path) for route in ROUTES}


def test_every_operation_says_what_it_does() -> None:
    for method, path, operation in operations(DOCUMENT):
        assert operation["summary"], f"the docstring of {method} {path} has no sentence"
    ids = [operation["operationId"] for _method, _path, operation in operations(DOCUMENT)]
    assert len(set(ids)) == len(ids)


def test_every_operation_asks_for_a_key_but_the_public_ones() -> None:
    public = {(route.method.lower(), route.path) for route in ROUTES if route.needs is Need.PUBLIC}
    for method, path, operation in operations(DOCUMENT):
        assert (operation["security"] == []) == ((method, path) in public)
        assert ("401" in operation["responses"]) == ((method, path) not in public)


def test_without_keys_nothing_is_said_of_them() -> None:
    document = orjson.dumps(service_document(SURFACE, server="/", has_keys=False))
    assert b"security" not in document
    assert b"AuthenticationError" not in document


def test_the_document_is_openapi() -> None:
    OpenAPIV31SpecValidator(orjson.loads(orjson.dumps(DOCUMENT))).validate()


@pytest.mark.parametrize(
    "error",
    [
        errors.InvalidRequest([PROBLEM]),
        errors.CompilationFailed([CODE_ERROR]),
        errors.WorkspaceNotFound("w"),
        errors.WorkspaceBroken("w", "it is no YAML", [CODE_ERROR]),
        errors.WorkersCrash(reason="signal 9", crashes=3, pause_s=2.5),
        errors.UnsupportedMediaType("no"),
        errors.BodyTooLarge(5),
        errors.Draining("going down"),
        errors.Forbidden("no"),
        errors.Conflict("The run has ended: it succeeded.", status="succeeded"),
        errors.Conflict("The run has ended.", run_id="1"),
        errors.TooMany("no more may"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_is_answered_to_an_error_has_its_documented_form(error: errors.SkepError) -> None:
    check_form(error_response(error).body)


@pytest.mark.parametrize(
    "ended",
    [
        outcome.Raised("ValueError", "no", "f", 1, "Traceback", (), 0.5),
        outcome.TimedOut(100, (b'{"time":"2026-01-01T00:00:00.000Z","level":"info","message":"m","more":1}',), 100.5),
        outcome.MemoryExceeded((), 1.5),
        outcome.WorkerLost("signal 9", ()),
        outcome.Cancelled((), 1.5),
        outcome.ParametersRefused((PROBLEM,)),
        outcome.CodeRefused([CODE_ERROR]),
        outcome.Rejected("queue full", 1),
        outcome.Rejected("waited too long", 1),
    ],
    ids=lambda ended: type(ended).__name__,
)
def test_what_is_answered_for_an_outcome_has_its_documented_form(ended: outcome.Outcome) -> None:
    check_form(outcome_response(ended).body)


def test_what_is_answered_for_a_run_whose_service_died_has_its_documented_form() -> None:
    check_form(lost("1").body)


@pytest.mark.parametrize("key", ["k", '"k"', '"', '""', "", "a b", '"a b"', "ü", "k" * 255, "k" * 256, '"\\""'])
def test_an_idempotency_key_is_what_it_is_said_to_be(key: str) -> None:
    form = validator(dict(REQUEST_SCHEMAS[str(IDEMPOTENCY_KEY)]))
    try:
        is_key = bool(parse_key(key))
    except ValueError:
        is_key = False
    assert form.is_valid(key) == is_key


def test_what_nobody_foresaw_has_its_documented_form() -> None:
    check_form(internal_response().body)


def check_form(body: Any) -> None:
    told = orjson.loads(body)
    form = validator({"$ref": f"#/components/schemas/{told['error']}"})
    form.validate(told)
    assert not form.is_valid({**told, "error": "Other"})
    assert not form.is_valid({name: value for name, value in told.items() if name != "message"})


WRONG: list[Any] = [None, True, -1, 0.5, 2**64, "\x00", [], [1], {"a": 1}, {"a b": "x"}, {"a": -1}]
RIGHT: list[Any] = [0, 1, 2**64 - 1, "", "python", "text", ["example.com"], {}, {"A_1": "x"}]


@pytest.mark.parametrize("check", list(validation.SCHEMAS), ids=lambda check: check.__name__)
def test_a_check_and_its_schema_agree(check: validation.Check) -> None:
    form = validator(dict(validation.SCHEMAS[check]))
    for value in WRONG + RIGHT:
        problems = Problems()
        check(value, "", problems)
        # That a number has at most 64 bits is held before, for all numbers of a definition.
        is_fit = problems.count == 0 and value != 2**64
        assert form.is_valid(value) == is_fit, value


def test_every_field_of_a_definition_has_a_schema() -> None:
    known = {*validation.OBJECTS, *validation.MAPS, *validation.SCHEMAS}
    for kind in validation.OBJECTS.values():
        assert set(kind.fields.values()) <= known


def test_a_definition_with_every_field_fits_its_schema() -> None:
    form = validator({"$ref": "#/components/schemas/Workspace"})
    form.validate(FULL)
    assert not form.is_valid({**FULL, "other": 1})
    assert not form.is_valid({"functions": {"f": {}}})
    assert not form.is_valid({"functions": {"for": {"code": ""}}})
    assert not form.is_valid({"functions": {"_f": {"code": ""}}})


def test_a_patch_is_a_part_of_a_definition_or_takes_away() -> None:
    form = validator({"$ref": "#/components/schemas/WorkspacePatch"})
    form.validate({"functions": {"f": {"timeout": None}, "g": None}, "env": None})
    form.validate({})
    assert not form.is_valid({"functions": None})
    assert not form.is_valid({"functions": {"f": {"code": None}}})
