"""Whether a request comes from this machine and from nobody's web page: what access without keys is for.

A page that somebody has open in a browser on this machine can send requests to it, too. Its browser says where the page
is from (`Origin`) on everything that could change something; and a page whose own name leads to 127.0.0.1 (DNS
rebinding) has that name in `Host`.
"""

from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import web
from multidict import istr

from service.errors import Forbidden

ADVICE = "Make a key with `skep keys create` or set ADMIN_KEY, and send it."


# Of a kind that is looked up three times as fast: every request asks for both.
_HOST: Final = istr("Host")
_ORIGIN: Final = istr("Origin")


def check_local(request: web.Request, *, is_on_loopback: bool) -> None:
    """Raises: Forbidden."""
    if not is_on_loopback and not _is_loopback_connection(request):
        raise Forbidden(f"Without keys, only this machine itself may come in, by its loopback address. {ADVICE}")
    headers = request.headers
    host, origin = headers.get(_HOST), headers.get(_ORIGIN)
    if host is not None and not _may_be_asked_as(host):
        raise Forbidden(f"Without keys, this service is asked as localhost or by address. {ADVICE}")
    if origin is not None and not _is_of_this_machine(origin):
        raise Forbidden(f"Without keys, no web page may come in but one of this machine. {ADVICE}")


@lru_cache(maxsize=256)
def _may_be_asked_as(authority: str) -> bool:
    """Whether no name in the public DNS could have led here: an address, localhost, or a name without dots."""
    name = _name(f"//{authority}")
    return name is not None and (_is_address(name) or "." not in name or name.endswith(".localhost"))


@lru_cache(maxsize=256)
def _is_of_this_machine(origin: str) -> bool:
    name = _name(origin)
    return name is not None and (name == "localhost" or name.endswith(".localhost") or is_loopback(name))


def is_loopback(address: str) -> bool:
    """Whether this is an address, and one that leads back to the machine itself."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    # What a socket for both families calls 127.0.0.1.
    inner = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return (inner or parsed).is_loopback


def _is_loopback_connection(request: web.Request) -> bool:
    if request.transport is None:
        return False
    ours: Any = request.transport.get_extra_info("sockname")
    # A unix socket has a path, or nothing, where others have an address.
    return not isinstance(ours, tuple) or is_loopback(ours[0])


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _name(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
