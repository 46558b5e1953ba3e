"""Aliases and disabled functions over HTTP: which revision a run gets, and whether it gets one."""

from typing import Any

import orjson
from aiohttp import web

from service.domain.releases import Alias, is_alias_name, revision_number
from service.domain.values import shown
from service.errors import InvalidRequest, Problem
from service.http.bodies import read_value
from service.http.changing import origin_of, unknown_parameters
from service.http.names import function_name, workspace_name
from service.http.paging import page_of, page_response
from service.http.problems import JSON
from service.http.skep import Skep

_RULE = "1 to 63 letters, digits, '_' and '-', the first a letter"


async def list_aliases(skep: Skep, request: web.Request) -> web.Response:
    """GET /v2/functions/{workspace}/aliases: aliases by name."""
    name = workspace_name(request)
    page = page_of(request, is_cursor=is_alias_name)
    found = await skep.aliases.all_of(name)
    items = [_item(alias, found[alias]) for alias in found if page.after is None or alias > page.after]
    after = items[page.limit - 1]["alias"] if len(items) > page.limit else None
    return page_response(items[: page.limit], after=after)


async def read_alias(skep: Skep, request: web.Request) -> web.Response:
    """GET /v2/functions/{workspace}/aliases/{alias}: what an alias names."""
    name, alias = workspace_name(request), _alias_name(request)
    return _shown(alias, await skep.aliases.read(name, alias))


async def set_alias(skep: Skep, request: web.Request) -> web.Response:
    """PUT /v2/functions/{workspace}/aliases/{alias}: let an alias name a revision, or several with weights."""
    name, alias = workspace_name(request), _alias_name(request)
    document, _, _ = await read_value(skep, request)
    targets = Alias.from_document(document)
    await skep.aliases.set(name, alias, targets, origin_of(request))
    return _shown(alias, targets)


async def delete_alias(skep: Skep, request: web.Request) -> web.Response:
    """DELETE /v2/functions/{workspace}/aliases/{alias}: delete an alias."""
    await skep.aliases.delete(workspace_name(request), _alias_name(request), origin_of(request))
    return web.Response(status=204)


async def disable_function(skep: Skep, request: web.Request) -> web.Response:
    """POST /v2/functions/{workspace}/functions/{function}/disable: disable a function: it is not to run."""
    name, function = workspace_name(request), function_name(request)
    await skep.aliases.disable(name, function, origin_of(request), is_disabled=True)
    return web.Response(status=204)


async def enable_function(skep: Skep, request: web.Request) -> web.Response:
    """POST /v2/functions/{workspace}/functions/{function}/enable: enable a function: it runs again."""
    name, function = workspace_name(request), function_name(request)
    await skep.aliases.disable(name, function, origin_of(request), is_disabled=False)
    return web.Response(status=204)


def wanted_revision(request: web.Request) -> str | None:
    """What a run's query asks for. Raises: InvalidRequest."""
    problems = unknown_parameters(request, ("revision",))
    given = request.query.getall("revision", [])
    if len(given) > 1 or any(revision_number(text) is None and not is_alias_name(text) for text in given):
        problems.append(Problem("query.revision", "must be the number of a revision, or the name of an alias, once"))
    if problems:
        raise InvalidRequest(problems)
    return given[0] if given else None


def _alias_name(request: web.Request) -> str:
    name = request.match_info["alias"]
    if not is_alias_name(name):
        raise InvalidRequest([Problem("alias", f"{shown(name)!r} is no name for an alias: {_RULE}")])
    return name


def _item(name: str, alias: Alias) -> dict[str, Any]:
    return {"alias": name, **alias.document}


def _shown(name: str, alias: Alias) -> web.Response:
    return web.Response(body=orjson.dumps(_item(name, alias)), content_type=JSON)
