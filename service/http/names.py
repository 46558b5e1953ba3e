"""Names in a path, held against their rules before anything is looked up by them."""

from functools import lru_cache
from typing import Final

from aiohttp import web

from service.domain.keys import without_keys
from service.domain.names import is_function_name, is_workspace_name
from service.domain.values import shown
from service.errors import InvalidRequest, Problem

_is_workspace_name: Final = lru_cache(maxsize=1024)(is_workspace_name)
_is_function_name: Final = lru_cache(maxsize=1024)(is_function_name)


def workspace_name(request: web.Request) -> str:
    """The workspace in the path. Raises: InvalidRequest."""
    name = request.match_info["workspace"]
    if not _is_workspace_name(name):
        rule = "1 to 63 letters, digits, '_' and '-', the first a letter or digit"
        raise InvalidRequest([Problem("workspace", f"{shown(name)!r} is no workspace name: {rule}")])
    if name.startswith("sk_") and without_keys(name) != name:
        # Sent to the wrong place it would be a name from now on, and stand in every log.
        raise InvalidRequest([Problem("workspace", "is a key, and no workspace may be called like one; revoke it")])
    return name


def function_name(request: web.Request) -> str:
    """The function in the path. Raises: InvalidRequest."""
    name = request.match_info["function"]
    if not _is_function_name(name):
        rule = "a Python identifier of at most 64 characters, no keyword, no leading underscore"
        raise InvalidRequest([Problem("function", f"{shown(name)!r} is no function name: {rule}")])
    return name
