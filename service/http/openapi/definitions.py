"""Schemas of definitions, from the tables that hold definitions against their rules."""

import keyword
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from service.domain import validation
from service.domain.names import BUILTINS, FUNCTION_NAME_MAX, IN_SCOPE, PARAMETER_NAME_MAX, WORKSPACE_NAME
from service.domain.validation import Check, Kind
from service.http.openapi.operation import ref

_NO_KIND: Final = Kind("nothing", {})
_TITLES: Final = {
    validation.WORKSPACE.name: "Workspace",
    validation.FUNCTION.name: "Function",
    validation.NETWORK.name: "Network",
    validation.POOL.name: "Pool",
    validation.LIMITS.name: "Limits",
}
WORKSPACE_NAME_SCHEMA: Final = {"type": "string", "pattern": f"^{WORKSPACE_NAME.pattern}$"}
FUNCTION_NAME_SCHEMA: Final = {
    "type": "string",
    "description": "An identifier of Python, in the form NFKC; no keyword, and nothing that every body sees anyway.",
    "format": "python-identifier",
    "minLength": 1,
    "maxLength": FUNCTION_NAME_MAX,
    # As near as it gets in the regular expressions that everybody reads: of ASCII, letters, digits and underscores.
    "pattern": r"^[^\u0000-@\[-`{-\u007f][^\u0000-/:-@\[-^`{-\u007f]*$",
    "not": {"enum": sorted({*keyword.kwlist, *IN_SCOPE, *BUILTINS})},
}
_PARAMETER_NAME: Final = {
    "minLength": 1,
    "maxLength": PARAMETER_NAME_MAX,
    "pattern": r"^[^\u0000-\u001f\u007f-\u009f]*$",
}


def definition_schemas() -> dict[str, Any]:
    """Components: workspaces, functions, and what they are made of."""
    schemas = {title: _object(kind) for kind in validation.OBJECTS.values() for title in [_TITLES[kind.name]]}
    return {
        **schemas,
        "FunctionName": FUNCTION_NAME_SCHEMA,
        "WorkspaceName": WORKSPACE_NAME_SCHEMA,
        "Parameter": {
            "description": "A JSON Schema, draft 2020-12, with `required: true` or `false` and `default` beside it.",
            "type": "object",
            "additionalProperties": True,
        },
        "WorkspacePatch": _patch(schemas["Workspace"], schemas),
    }


def schema_of_struct(struct: type[msgspec.Struct], like: Kind = _NO_KIND, **known: dict[str, Any]) -> dict[str, Any]:
    """A body that is decoded into a struct. What is kept raw is an object, which its handler checks.

    `like`: text that has the name of one of its fields is what that field is. `known`: fields by their names.
    """
    fields = msgspec.structs.fields(struct)
    of_types: Mapping[Any, dict[str, Any]] = {
        str: {"type": "string"},
        str | None: {"type": ["string", "null"]},
        msgspec.Raw: {"type": "object", "additionalProperties": True},
    }
    return {
        "type": "object",
        "properties": {
            field.encode_name: known[field.encode_name]
            if field.encode_name in known
            else _of_check(like.fields[field.encode_name])
            if field.type is str and field.encode_name in like.fields
            else of_types[field.type]
            for field in fields
        },
        "required": [field.encode_name for field in fields if field.required],
        "additionalProperties": False,
    }


def _object(kind: Kind) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: _of_check(check) for name, check in kind.fields.items()},
        "required": list(kind.required),
        "additionalProperties": False,
    }


def _of_check(check: Check) -> Mapping[str, Any]:
    if check in validation.OBJECTS:
        return ref(_TITLES[validation.OBJECTS[check].name])
    if check in validation.MAPS:
        item = validation.MAPS[check]
        if item is None:
            return {"type": "object", "propertyNames": _PARAMETER_NAME, "additionalProperties": ref("Parameter")}
        return {"type": "object", "propertyNames": ref("FunctionName"), "additionalProperties": _of_check(item)}
    return validation.SCHEMAS[check]


def _patch(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> dict[str, Any]:
    """What may be merged into an object (RFC 7396): any part of it, and null for what shall go."""
    name = schema.get("$ref", "").removeprefix("#/components/schemas/")
    if name in schemas:
        return _patch(schemas[name], schemas)
    if schema.get("type") != "object":
        return dict(schema)
    patch = {key: value for key, value in schema.items() if key != "required"}
    required = schema.get("required", ())
    if "properties" in schema:
        patch["properties"] = {
            name: _patch(field, schemas) if name in required else _or_null(_patch(field, schemas))
            for name, field in schema["properties"].items()
        }
    if isinstance(schema.get("additionalProperties"), Mapping):
        patch["additionalProperties"] = _or_null(_patch(schema["additionalProperties"], schemas))
    return patch


def _or_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}
