"""The document of the whole surface, from the table of routes and what each handler is described as."""

import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from sandbox.version import __version__
from service.domain.access import MAY, Need
from service.http.edge import Handler
from service.http.openapi.definitions import FUNCTION_NAME_SCHEMA, WORKSPACE_NAME_SCHEMA, definition_schemas
from service.http.openapi.failures import failure_schemas, failures_of, response, response_name
from service.http.openapi.headers import RESPONSE_HEADERS, request_headers, response_headers
from service.http.openapi.operation import Operation, Schema
from service.http.route import Route

VERSION: Final = "3.1.0"
_PATH_PARAMETERS: Final[Mapping[str, Schema]] = {
    "workspace": WORKSPACE_NAME_SCHEMA,
    "function": FUNCTION_NAME_SCHEMA,
}
SECURITY_SCHEMES: Final = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A key: `Authorization: Bearer sk_…`."},
    "basic": {"type": "http", "scheme": "basic", "description": "A key as the user name, and no password."},
}
_SECURITY: Final[Sequence[Mapping[str, Sequence[str]]]] = [{name: []} for name in SECURITY_SCHEMES]
_CALLS: Final = re.compile(r"^[A-Z]+(?: and [A-Z]+)* /\S*?(?:[:;,.]\s+|\.?$)")


class Surface(NamedTuple):
    """All that documents are made from."""

    routes: Sequence[Route]
    operations: Mapping[Handler, Operation]
    schemas: Schema
    """What answers and bodies are made of, beside definitions and problems."""


class Builder:
    """Makes documents; what they refer to is gathered on the way."""

    def __init__(self, schemas: Schema, *, has_keys: bool) -> None:
        self.schemas: dict[str, Any] = {**definition_schemas(), **failure_schemas(), **schemas}
        self._has_keys = has_keys
        self._responses: dict[str, Any] = {}

    def operation(self, route: Route, described: Operation, *, id: str) -> dict[str, Any]:  # noqa: A002  # its name there
        """One operation."""
        summary, description = told(route)
        made: dict[str, Any] = {"operationId": id, "tags": [described.tag], "summary": summary}
        if description:
            made["description"] = description
        names = {**_PATH_PARAMETERS, **described.path}
        parameters = [
            {"name": name, "in": "path", "required": True, "schema": names[name]}
            for name in re.findall(r"{(\w+)}", route.path)
        ]
        parameters += [
            {"name": query.name, "in": "query", "description": query.description, "schema": query.schema}
            for query in described.query
        ]
        parameters += request_headers(described.headers)
        if parameters:
            made["parameters"] = parameters
        if described.body is not None:
            made["requestBody"] = {
                "required": described.body.is_required,
                "content": {media: {"schema": described.body.schema} for media in described.body.media_types},
            }
        made["responses"] = self.responses(route, described)
        if self._has_keys:
            made["security"] = [] if route.needs is Need.PUBLIC else _SECURITY
        return made

    def responses(self, route: Route, described: Operation) -> dict[str, Any]:
        """All that it may answer."""
        made: dict[str, Any] = {}
        for status, success in described.answers.items():
            made[str(status)] = {"description": success.description, "headers": response_headers(success.headers)}
            if success.schema is not None:
                made[str(status)]["content"] = {
                    **{media: {"schema": success.schema} for media in success.media_types},
                    **{media: {"schema": schema} for media, schema in success.other_types.items()},
                }
        for status, codes in failures_of(route, described, has_keys=self._has_keys).items():
            name = response_name(codes)
            self._responses[name] = response(status, codes)
            made[str(status)] = {"$ref": f"#/components/responses/{name}"}
        return made

    def document(self, *, title: str, description: str, server: str, paths: Schema) -> dict[str, Any]:
        """The whole."""
        components: dict[str, Any] = {
            "schemas": self.schemas,
            "responses": self._responses,
            "headers": RESPONSE_HEADERS,
        }
        if self._has_keys:
            components["securitySchemes"] = SECURITY_SCHEMES
        return {
            "openapi": VERSION,
            "info": {"title": title, "version": __version__, "description": description},
            "servers": [{"url": server}],
            "paths": paths,
            "components": _in_use(paths, components),
        }


def service_document(surface: Surface, *, server: str, has_keys: bool) -> dict[str, Any]:
    """The document of the whole surface. `server`: where it is mounted."""
    builder = Builder(surface.schemas, has_keys=has_keys)
    paths: dict[str, Any] = {}
    seen: set[str] = set()
    for route in surface.routes:
        described = surface.operations[route.handler]
        id_ = described.id if described.id not in seen else f"{described.id}With{route.method.title()}"
        seen.add(id_)
        paths.setdefault(route.path, {})[route.method.lower()] = builder.operation(route, described, id=id_)
    description = "Workspaces of functions: each in its own warm, jailed worker process."
    return builder.document(title="Skep", description=description, server=server, paths=paths)


def told(route: Route) -> tuple[str, str]:
    """What a handler's docstring says: its first sentence, and the rest, with who may call it."""
    paragraphs = inspect.cleandoc(route.handler.__doc__ or "").split("Raises:")[0].strip().split("\n\n")
    first = " ".join(_CALLS.sub("", paragraphs[0]).split()).removesuffix(".")
    rest = "\n\n".join(paragraphs[1:]).strip()
    roles = [role for role, needs in MAY.items() if route.needs in needs]
    who = "" if route.needs is Need.PUBLIC else f"For keys of the roles {', '.join(roles)}."
    return f"{first[:1].upper()}{first[1:]}", "\n\n".join(part for part in (rest, who) if part)


def _in_use(paths: Schema, components: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The components that anything refers to, and those that are not referred to but named."""
    used: dict[str, dict[str, Any]] = {kind: {} for kind in components}
    pending: list[Any] = [paths]
    while pending:
        value = pending.pop()
        if isinstance(value, Mapping):
            pending += value.values()
            reference = value.get("$ref")
            if isinstance(reference, str) and reference.startswith("#/components/"):
                kind, name = reference.removeprefix("#/components/").split("/")
                if name not in used[kind]:
                    used[kind][name] = components[kind][name]
                    pending.append(components[kind][name])
        elif isinstance(value, list | tuple):
            pending += value
    used |= {"securitySchemes": dict(components["securitySchemes"])} if "securitySchemes" in components else {}
    return {kind: dict(sorted(found.items())) for kind, found in used.items()}
