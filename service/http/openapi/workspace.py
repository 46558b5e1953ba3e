"""The document of one workspace: its functions as operations."""

from itertools import islice
from typing import Any, Final
from urllib.parse import quote

from service.domain.workspace import Workspace
from service.http.openapi.document import Builder, Surface
from service.http.openapi.operation import Schema
from service.http.openapi.tenant import parameters_body
from service.http.problems import JSON
from service.http.runs import run_function

FUNCTIONS_MAX: Final = 1000
"""So many are told; a workspace may have more."""
SUMMARY_MAX_CHARACTERS: Final = 120


def workspace_document(workspace: Workspace, surface: Surface, *, server: str, has_keys: bool) -> dict[str, Any]:
    """What may be run in a workspace, and with which parameters."""
    route = next(route for route in surface.routes if route.handler is run_function)
    described = surface.operations[run_function]
    builder = Builder(surface.schemas, has_keys=has_keys)
    base = builder.operation(route, described, id=described.id)
    parameters = [parameter for parameter in base.get("parameters", ()) if parameter["in"] != "path"]
    functions = workspace.document["functions"]
    paths: dict[str, Any] = {}
    ids: set[str] = set()
    for name, function in islice(functions.items(), FUNCTIONS_MAX):
        body = parameters_body(name, function.get("parameters", {}), builder.schemas)
        operation = {
            **base,
            **_words(name, function),
            "operationId": _operation_id(name, ids),
            "tags": [workspace.name],
            "requestBody": {"required": "required" in body, "content": {JSON: {"schema": body}}},
        }
        if parameters:
            operation["parameters"] = parameters
        else:
            operation.pop("parameters", None)
        paths[f"/v2/functions/{workspace.name}/run/{quote(name)}"] = {"post": operation}
    description = str(workspace.document.get("description", ""))
    if len(functions) > FUNCTIONS_MAX:
        description += f"\n\nThe first {FUNCTIONS_MAX} of {len(functions)} functions are listed."
    return builder.document(title=workspace.name, description=description.strip(), server=server, paths=paths)


def _operation_id(name: str, taken: set[str]) -> str:
    """A name that generators can use: of ASCII, and different from the others however it is written."""
    plain = "".join(letter if letter.isascii() else "_" for letter in name)
    key, number = plain.replace("_", "").lower(), len(taken)
    if key in taken or plain != name:
        plain, key = f"{plain}_{number}", f"{key}{number}"
    taken.add(key)
    return plain


def _words(name: str, function: Schema) -> dict[str, Any]:
    description = function.get("description", "").strip()
    timeout_ms = function.get("timeout")
    limit = "" if timeout_ms is None else f"Ends after {timeout_ms} ms at the latest."
    summary = description.partition("\n")[0].strip()
    return {
        "summary": (summary if len(summary) <= SUMMARY_MAX_CHARACTERS else "") or name,
        "description": "\n\n".join(part for part in (description, limit) if part),
    }
