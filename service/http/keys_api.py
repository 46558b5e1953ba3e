"""Keys over HTTP, for who may do everything. None but the answer that makes one has a key in it."""

from typing import Any

import orjson
from aiohttp import web

from service.domain.keys import Key, check_new_key
from service.domain.times import now_ms, rfc3339
from service.http.access import actor_of
from service.http.bodies import read_value
from service.http.paging import page_of, page_response
from service.http.problems import JSON
from service.http.skep import Skep

NOT_STORED = {"Cache-Control": "no-store"}
_NUMBER_MAX_DIGITS = 18


async def create_key(skep: Skep, request: web.Request) -> web.Response:
    """POST /v2/keys: a new key, which this answer shows and nothing else ever will."""
    document, _body, _yaml = await read_value(skep, request)
    key, minted = await skep.keys.create(check_new_key(document, now_ms=now_ms()), actor_of(request))
    headers = {**NOT_STORED, "Location": f"{request.path}/{key.id}"}
    return _json({**_shown(key), "key": minted.key}, status=201, headers=headers)


async def list_keys(skep: Skep, request: web.Request) -> web.Response:
    """GET /v2/keys: what is known of each key, oldest first, revoked ones too."""
    page = page_of(request, is_cursor=is_number)
    keys, following = await skep.keys.page(actor_of(request), after=int(page.after or 0), limit=page.limit)
    return page_response([_shown(key) for key in keys], after=None if following is None else str(following))


async def read_key(skep: Skep, request: web.Request) -> web.Response:
    """GET /v2/keys/{id}: what is known of one."""
    return _json(_shown(await skep.keys.read(request.match_info["id"], actor_of(request))))


async def revoke_key(skep: Skep, request: web.Request) -> web.Response:
    """DELETE /v2/keys/{id}: revoke a key: good for nothing from the next request on; what is known of it stays."""
    await skep.keys.revoke(request.match_info["id"], actor_of(request))
    return web.Response(status=204)


def is_number(cursor: str) -> bool:
    """Whether a cursor is the number of a row."""
    return cursor.isascii() and cursor.isdigit() and len(cursor) <= _NUMBER_MAX_DIGITS


def _shown(key: Key) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "role": key.role,
        "workspaces": key.workspaces,
        "state": key.state(now_ms()),
        "created": rfc3339(key.created_ms),
        "expires": _time(key.expires_ms),
        "last_used": _time(key.used_ms),
        "revoked": _time(key.revoked_ms),
    }


def _time(ms: int | None) -> str | None:
    return None if ms is None else rfc3339(ms)


def _json(value: dict[str, Any], *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(value), content_type=JSON, headers=headers)
