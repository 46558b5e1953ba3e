"""What a caller knows and what it accepts: entity tags and media types (RFC 9110, sections 8.8.3 and 12.5.1)."""

import re
from typing import Final

from aiohttp import web

from service.domain.conditions import Conditions

_TAG: Final = re.compile(r'\s*(?:(W/)?"([^"]*)"|(\*))\s*(?:,|$)')
_QUALITY: Final = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)", re.IGNORECASE)
_YAML_TYPES: Final = ("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml")


def conditions(request: web.Request) -> Conditions:
    """What the caller makes a condition. `If-Match` compares strongly: a weak tag matches nothing."""
    return Conditions(_tags(request, "If-Match", weak=False), _tags(request, "If-None-Match", weak=True))


def knows(request: web.Request, revision: str) -> bool:
    """Whether the caller says that it has this revision already."""
    known = _tags(request, "If-None-Match", weak=True)
    return known is not None and ("*" in known or revision in known)


def wants_yaml(request: web.Request, *, default: bool = False) -> bool:
    """Whether the caller prefers YAML to JSON; `default` decides where it has no preference."""
    accept = request.headers.get("Accept")
    if accept is None:
        return default
    yaml = max(_quality(accept, kind) for kind in _YAML_TYPES)
    json = _quality(accept, "application/json")
    return default if yaml == json else yaml > json


def prefers(request: web.Request, kind: str, *, over: str) -> bool:
    """Whether the caller would rather have this media type than that, which it gets when it says nothing."""
    accept = request.headers.get("Accept")
    return accept is not None and _quality(accept, kind) > _quality(accept, over)


def _tags(request: web.Request, header: str, *, weak: bool) -> frozenset[str] | None:
    """Revisions in a header, "*" for any; None without the header. What is no tag matches nothing."""
    given = request.headers.getall(header, None)
    if given is None:
        return None
    found: set[str] = set()
    for match in _TAG.finditer(",".join(given)):
        if match[3]:
            found.add("*")
        elif (weak or not match[1]) and match[2] != "*":
            found.add(match[2])
    return frozenset(found)


def _quality(accept: str, kind: str) -> float:
    """How much a media type is wanted: the most specific range that covers it decides."""
    family = kind.partition("/")[0]
    best, quality = -1, 0.0
    for entry in accept.split(","):
        name, _, parameters = entry.partition(";")
        specificity = {kind: 2, f"{family}/*": 1, "*/*": 0}.get(name.strip().lower(), -1)
        if specificity > best:
            best = specificity
            match = _QUALITY.search(parameters)
            quality = float(match[1]) if match else 1.0
    return quality
