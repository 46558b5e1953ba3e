"""Secrets over HTTP: set, delete, list. None is ever given out, and nothing of a body is repeated in a message."""

from typing import Final

import msgspec
from aiohttp import web

from service.database.secrets import VALUE_MAX_BYTES
from service.domain.names import is_variable_name
from service.domain.times import rfc3339
from service.domain.values import kind, shown
from service.errors import InvalidRequest, Problem, UnsupportedMediaType
from service.http.access import actor_of
from service.http.bodies import is_yaml, read_body
from service.http.names import workspace_name
from service.http.paging import page_of, page_response
from service.http.skep import Skep

NAME_MAX: Final = 128

_any_json: Final = msgspec.json.Decoder()


async def list_secrets(skep: Skep, request: web.Request) -> web.Response:
    """GET /v2/functions/{workspace}/secrets: names of secrets, and when each was set; never a value."""
    workspace = workspace_name(request)
    page = page_of(request, is_cursor=is_variable_name)
    found = await skep.keep_secrets.listed(actor_of(request), workspace)
    after = [(name, updated_ms) for name, updated_ms in found if page.after is None or name > page.after]
    items = [{"name": name, "updated": rfc3339(updated_ms)} for name, updated_ms in after[: page.limit]]
    return page_response(items, after=str(items[-1]["name"]) if len(after) > page.limit else None)


async def set_secret(skep: Skep, request: web.Request) -> web.Response:
    """PUT /v2/functions/{workspace}/secrets/{name}: set a secret; code reads it as `secrets["NAME"]`."""
    workspace, name = workspace_name(request), _name(request)
    _no_query(request)
    if is_yaml(request):
        # What YAML says of a mistake quotes it.
        raise UnsupportedMediaType("YAML is not read here; send application/json.")
    value = _value(await read_body(request, max_bytes=skep.settings.request_max_bytes))
    await skep.keep_secrets.set(actor_of(request), workspace, name, value)
    return web.Response(status=204)


async def delete_secret(skep: Skep, request: web.Request) -> web.Response:
    """DELETE /v2/functions/{workspace}/secrets/{name}: forget a secret."""
    workspace, name = workspace_name(request), _name(request)
    _no_query(request)
    await skep.keep_secrets.delete(actor_of(request), workspace, name)
    return web.Response(status=204)


def _name(request: web.Request) -> str:
    name = request.match_info["name"]
    if not is_variable_name(name) or len(name) > NAME_MAX:
        rule = f"1 to {NAME_MAX} letters, digits and underscores, the first no digit"
        raise InvalidRequest([Problem("name", f"{shown(name)!r} is no name for a secret: {rule}")])
    return name


def _no_query(request: web.Request) -> None:
    if request.query:
        raise InvalidRequest([Problem(f"query.{shown(name)}", "unknown parameter") for name in set(request.query)])


def _value(body: bytes) -> str:
    """The value in a body. Raises: InvalidRequest, in which there is nothing of the body, not even its fields."""
    try:
        document = _any_json.decode(body)
        body.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidRequest([Problem("", "not valid JSON in UTF-8")]) from None
    if not isinstance(document, dict):
        raise InvalidRequest([Problem("", f"must be an object, not {kind(document)}")])
    problems: list[Problem] = []
    if document.keys() - {"value"}:
        problems.append(Problem("", "has fields that are not known; there is value"))
    value = document.get("value")
    if "value" not in document:
        problems.append(Problem("value", "is required"))
    elif not isinstance(value, str):
        problems.append(Problem("value", f"must be a string, not {kind(value)}"))
    elif not 1 <= len(value.encode()) <= VALUE_MAX_BYTES:
        problems.append(Problem("value", f"must have 1 to {VALUE_MAX_BYTES} bytes in UTF-8"))
    if problems or not isinstance(value, str):
        raise InvalidRequest(problems)
    return value
