"""Documents of workspaces: whatever a tenant's schemas are, it is OpenAPI that comes of them."""

from typing import Any

import jsonschema_rs
import orjson
import pytest
from openapi_spec_validator.schemas import schema_v31

from service.domain.workspace import Workspace
from service.http.openapi.documents import Documents
from service.http.openapi.tenant import DEFINITIONS_MAX, NOT_TOLD, told
from service.http.openapi.workspace import FUNCTIONS_MAX, workspace_document
from tests.unit.test_openapi import SURFACE
from tests.unit.test_validation import FULL

OPENAPI = jsonschema_rs.Draft202012Validator(orjson.loads(orjson.dumps(dict(schema_v31))))


def document_of(definition: dict[str, Any]) -> dict[str, Any]:
    workspace = Workspace.from_document("w", definition)
    made = workspace_document(workspace, SURFACE, server="/", has_keys=True)
    document: dict[str, Any] = orjson.loads(orjson.dumps(made))
    OPENAPI.validate(document)
    return document


def function(**parameters: Any) -> dict[str, Any]:
    return {"functions": {"f": {"code": "", "parameters": parameters}}}


def body_of(document: dict[str, Any], name: str = "f") -> dict[str, Any]:
    operation = document["paths"][f"/v2/functions/w/run/{name}"]["post"]
    body: dict[str, Any] = operation["requestBody"]["content"]["application/json"]["schema"]
    return body


def test_a_function_is_an_operation() -> None:
    document = document_of(FULL)
    assert document["info"]["title"] == "w"
    assert document["info"]["description"] == "Everything there is."
    operation = document["paths"]["/v2/functions/w/run/hello"]["post"]
    assert operation["summary"] == "Greets somebody."
    assert "5000 ms" in operation["description"]
    assert operation["requestBody"]["required"]
    parameters = body_of(document, "hello")["properties"]["parameters"]
    assert parameters["properties"] == {
        "name": {"type": "string", "default": "world"},
        "from": {"type": ["string", "null"]},
        "shape": {"type": "object", "properties": {"a": {}}, "required": ["a"]},
        "anything": {},
    }
    assert parameters["required"] == ["from"]
    assert operation["security"]


def test_names_that_generators_do_not_take_are_written_otherwise() -> None:
    names = ["größe", "grüße", "getUser", "get_user", "get_user_3"]
    document = document_of({"functions": {name: {"code": ""} for name in names}})
    assert set(document["paths"]) >= {"/v2/functions/w/run/gr%C3%B6%C3%9Fe"}
    ids = [methods["post"]["operationId"] for methods in document["paths"].values()]
    assert all(id_.isascii() and id_.isidentifier() for id_ in ids)
    assert len({id_.replace("_", "").lower() for id_ in ids}) == len(names)


def test_without_parameters_no_body_is_needed() -> None:
    document = document_of({"functions": {"f": {"code": ""}}})
    assert not document["paths"]["/v2/functions/w/run/f"]["post"]["requestBody"]["required"]


def test_definitions_become_components() -> None:
    schema = {
        "$ref": "#/$defs/a~1b",
        "$defs": {
            "a/b": {"properties": {"next": {"$ref": "#/definitions/%C3%A4"}, "same": {"$ref": "#/$defs/text"}}},
            "text": {"type": "string"},
            "unused": {"$id": "https://example.com/"},
        },
        "definitions": {"ä": {"type": "array", "items": {"$ref": "#/$defs/text"}, "not": False}},
    }
    document = document_of(function(p=schema))
    form = jsonschema_rs.Draft202012Validator({**body_of(document), "components": document["components"]})
    original = jsonschema_rs.Draft202012Validator(schema)
    values: list[Any] = [{}, {"next": []}, {"next": ["x"]}, {"next": [1]}, {"same": 1}, {"same": "x"}]
    for value in values:
        assert form.is_valid({"parameters": {"p": value}}) == original.is_valid(value), value


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$ref": "#/properties/a", "properties": {"a": {}}},
        {"$ref": "#/$defs/a/properties/b", "$defs": {"a": {"properties": {"b": {}}}}},
        {"$ref": "#/$defs/missing"},
        {"$ref": "#/$defs/missing", "$defs": {}},
        {"$ref": "https://example.com/schema"},
        {"$ref": "#/components/schemas/RunResult"},
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}},
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"items": {"$ref": "#/$defs/a"}}}},
        {"items": {"$id": "https://example.com/", "$ref": "#/$defs/a", "$defs": {"a": {}}}},
        {"$anchor": "a", "not": {"$ref": "#a"}},
        {"$dynamicRef": "#a"},
        {"$dynamicAnchor": "a"},
        {"enum": [{"$ref": "#/nowhere"}]},
        {"const": [{"a": {"$ref": "#/nowhere"}}]},
        {
            "$ref": "#/$defs/d0",
            "$defs": {f"d{n}": {"items": {"$ref": f"#/$defs/d{n + 1}"}} for n in range(DEFINITIONS_MAX + 1)},
        },
    ],
    ids=lambda schema: orjson.dumps(schema).decode()[:60],
)
def test_what_cannot_be_moved_is_left_open(schema: dict[str, Any]) -> None:
    document = document_of(function(p={"description": "Mine.", **schema}))
    assert body_of(document)["properties"]["parameters"]["properties"]["p"] == {"description": f"Mine.\n\n{NOT_TOLD}"}


def test_what_only_annotates_and_looks_like_a_reference_is_left_out() -> None:
    schemas: dict[str, Any] = {}
    schema = {"type": "object", "default": {"$ref": "x"}, "examples": [{"$ref": "#"}], "required": True}
    assert told("p", schema, schemas) == {"type": "object"}
    assert not schemas


def test_keywords_of_openapi_are_no_keywords_of_a_parameter() -> None:
    schema = {"type": "object", "discriminator": 5, "xml": "x", "externalDocs": [], "example": 1, "x-mine": 1}
    parameters = body_of(document_of(function(p=schema)))["properties"]["parameters"]
    assert parameters["properties"]["p"] == {"type": "object"}


def test_a_schema_as_deep_as_one_may_be_is_told() -> None:
    schema: dict[str, Any] = {}
    for _ in range(58):
        schema = {"not": schema}
    document_of(function(p=schema))


def test_properties_may_be_called_anything() -> None:
    properties = {"$ref": {"type": "string"}, "$defs": {}, "x-": {}, "": True, "default": {"$comment": "x"}}
    parameters = body_of(document_of(function(p={"properties": properties})))["properties"]["parameters"]
    assert parameters["properties"]["p"]["properties"].keys() == properties.keys()


def test_a_document_has_an_end() -> None:
    functions = {f"f{number}": {"code": ""} for number in range(FUNCTIONS_MAX + 1)}
    workspace = Workspace.from_document("w", {"functions": functions})
    document = workspace_document(workspace, SURFACE, server="/", has_keys=False)
    assert len(document["paths"]) == FUNCTIONS_MAX
    assert f"{FUNCTIONS_MAX} of {FUNCTIONS_MAX + 1}" in document["info"]["description"]


async def test_a_document_is_made_once_for_each_revision() -> None:
    documents = Documents(SURFACE)
    one = Workspace.from_document("w", {"functions": {}})
    other = Workspace.from_document("w", {"functions": {f"f{n}": {"code": ""} for n in range(30)}})
    first = await documents.workspace(one, "/", has_keys=False)
    assert await documents.workspace(one, "/", has_keys=False) is first
    assert (await documents.workspace(one, "/", has_keys=True)).revision != first.revision
    assert (await documents.workspace(other, "/", has_keys=False)).revision != first.revision
    assert documents.service("/", has_keys=False) is documents.service("/", has_keys=False)
