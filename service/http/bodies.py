"""From the bytes of a request to a value: how much is read, which formats, and what is said about the rest."""

import asyncio
from functools import partial
from typing import Any, Final

import msgspec
import orjson
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from service.domain.yaml import YamlError, load_yaml
from service.errors import BodyTooLarge, InvalidRequest, Problem, UnsupportedMediaType
from service.http.skep import Skep

YAML: Final = "application/yaml"
BODY_TIMEOUT_S: Final = 30
YAML_AT_ONCE_BYTES: Final = 8 * 1024
"""A hundred values in YAML take a millisecond; larger bodies are read in a thread."""
_JSON_TYPES: Final = frozenset({"application/json", "application/merge-patch+json", "text/json"})
_YAML_TYPES: Final = frozenset({YAML, "application/x-yaml", "text/yaml", "text/x-yaml"})

_any_json: Final = msgspec.json.Decoder()


async def read_body(request: web.Request, *, max_bytes: int) -> bytes:
    """The whole body. Raises: BodyTooLarge as soon as that is known, InvalidRequest if it cannot be read."""
    content = request.content
    # A small body has mostly arrived with its head.
    if content.is_eof() and content.exception() is None:
        body = content.read_nowait()
        if len(body) > max_bytes:
            raise BodyTooLarge(max_bytes)
        return body
    if (request.content_length or 0) > max_bytes:
        raise BodyTooLarge(max_bytes)
    gathered = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            while chunk := await _chunk(content):
                gathered += chunk
                if len(gathered) > max_bytes:
                    raise BodyTooLarge(max_bytes)
    except TimeoutError:
        raise InvalidRequest([Problem("", f"the body was not there after {BODY_TIMEOUT_S} s")]) from None
    return bytes(gathered)


async def _chunk(content: Any) -> bytes:
    try:
        chunk: bytes = await content.readany()
    except (web.RequestPayloadError, HttpProcessingError) as error:
        raise InvalidRequest([Problem("", f"the body cannot be read: {error}")]) from error
    return chunk


def is_yaml(request: web.Request) -> bool:
    """Whether the body says it is YAML; JSON is what it is without a word. Raises: UnsupportedMediaType."""
    given = request.headers.get("Content-Type")
    if given is None or given == "application/json" or not request.body_exists:
        return False
    content_type = request.content_type
    if content_type in _JSON_TYPES or content_type.endswith("+json"):
        return False
    if content_type in _YAML_TYPES or content_type.endswith("+yaml"):
        return True
    raise UnsupportedMediaType(f"{content_type!r} is not read here; send application/json or application/yaml.")


def parse(body: bytes, *, yaml: bool) -> object:
    """The value a body holds. Raises: InvalidRequest with the place where it goes wrong."""
    if yaml:
        try:
            return load_yaml(body)
        except YamlError as error:
            raise InvalidRequest([Problem("", f"not valid YAML: {error}")]) from error
    try:
        # Not orjson: this one has no limit below the recursion limit, and its messages give the byte.
        value: object = _any_json.decode(body)
        body.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest([Problem("", f"not valid JSON: {error}")]) from error
    return value


async def parse_aside(skep: Skep, body: bytes, *, yaml: bool) -> object:
    """As `parse`; what may take long does not hold up other requests meanwhile."""
    if yaml and len(body) > YAML_AT_ONCE_BYTES:
        # In threads that are for this alone: callers can fill them, and nobody but their like waits for it.
        return await asyncio.get_running_loop().run_in_executor(skep.parsers, partial(parse, body, yaml=True))
    return parse(body, yaml=yaml)


async def read_value(skep: Skep, request: web.Request) -> tuple[object, bytes, bool]:
    """The value of a body, the body itself, and whether it was YAML. Raises: as its parts."""
    yaml = is_yaml(request)
    body = await read_body(request, max_bytes=skep.settings.request_max_bytes)
    return await parse_aside(skep, body, yaml=yaml), body, yaml


def to_json(value: object) -> bytes:
    """JSON of a value that came from YAML. Raises: InvalidRequest for what JSON cannot say."""
    try:
        return orjson.dumps(value)
    except TypeError as error:
        raise InvalidRequest([Problem("", f"cannot be written as JSON: {error}")]) from error
