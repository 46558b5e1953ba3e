"""URLs that functions fetch, taken apart strictly.

Every program that a URL passes through reads odd ones differently, and what one checks another connects to. So nothing
odd is interpreted here: one spelling of an address, no credentials, no backslashes, no control characters. What is
left is taken apart once, and the connection is made from these parts, never from the text.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final
from urllib.parse import quote, urljoin

import idna

from service.domain.addresses import Address

DEFAULT_PORTS: Final = {"http": 80, "https": 443}
PORT_MAX: Final = 65535
URL_MAX_CHARACTERS: Final = 8192
_KEPT_MAX_CHARACTERS: Final = 256
"""Shorter ones are mostly asked for again."""
_HOST_MAX_CHARACTERS: Final = 253
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(//)?")
_ODD: Final = re.compile(r"[\x00-\x20\x7f\\]")
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMERIC: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_OTHER_DOTS: Final = re.compile("[\u3002\uff0e\uff61]")
_PORT: Final = re.compile(r"[0-9]{1,5}", re.ASCII)
_DELIVERED: Final = re.compile(r"[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]*")
_SAFE: Final = "-._~:/?[]@!$&'()*+,;=%"


class UrlRefused(ValueError):
    """A URL that is not fetched, with what to do about it."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes."""

    scheme: str
    host: str
    """In lower case, IDNA-encoded; an IPv6 address without brackets."""
    address: Address | None
    """Set if the host is an address."""
    port: int
    path: str
    """With the query, percent-encoded, as it is sent."""

    authority: str
    """As the `Host` header has it."""
    url: str
    """The whole."""

    @property
    def origin(self) -> tuple[str, str, int]:
        """What credentials are meant for (RFC 6454)."""
        return self.scheme, self.host, self.port


def parse_url(url: str) -> Target:
    """Take a URL apart. Raises: UrlRefused."""
    return _parse_kept(url) if len(url) <= _KEPT_MAX_CHARACTERS else _parse(url)


@lru_cache(maxsize=1024)
def _parse_kept(url: str) -> Target:
    return _parse(url)


def _parse(url: str) -> Target:
    if len(url) > URL_MAX_CHARACTERS:
        raise UrlRefused(f"the URL has more than {URL_MAX_CHARACTERS} characters")
    if _ODD.search(url):
        raise UrlRefused("the URL has a space, a backslash or a control character in it: quote it with urllib.parse")
    scheme = _SCHEME.match(url)
    if scheme is None:
        raise UrlRefused("the URL must begin with http:// or https://")
    name = scheme[1].lower()
    if name not in DEFAULT_PORTS or scheme[2] is None:
        raise UrlRefused(f"the URL must begin with http:// or https://, not {scheme[0][:40]}")
    end = re.search(r"[/?#]", url[scheme.end() :])
    cut = len(url) if end is None else scheme.end() + end.start()
    host, port = _authority(url[scheme.end() : cut])
    name_or_address, address = parse_host(host)
    path = url[cut:].partition("#")[0]
    if not path.startswith("/"):
        path = f"/{path}"
    if _DELIVERED.fullmatch(path) is None:
        path = quote(path, safe=_SAFE, errors="replace")
    port = DEFAULT_PORTS[name] if port is None else port
    shown = f"[{name_or_address}]" if ":" in name_or_address else name_or_address
    authority = shown if port == DEFAULT_PORTS[name] else f"{shown}:{port}"
    return Target(name, name_or_address, address, port, path, authority, f"{name}://{authority}{path}")


def redirected(target: Target, location: str) -> Target:
    """Where a `Location` leads from here. Raises: UrlRefused."""
    if _ODD.search(location):
        raise UrlRefused("the redirect leads to a URL with a space, a backslash or a control character in it")
    try:
        return parse_url(urljoin(target.url, location))
    except UrlRefused:
        raise
    except ValueError:  # of urljoin, for brackets that hold no address
        raise UrlRefused("the redirect leads to something that is no URL") from None


def parse_host(text: str) -> tuple[str, Address | None]:
    """A host name in its one spelling, or an address; IPv6 with or without brackets. Raises: UrlRefused."""
    if text.startswith("[") or text.count(":") > 1:
        return _ipv6(text.removeprefix("[").removesuffix("]"))
    if not text:
        raise UrlRefused("the URL has no host")
    host = _ascii(text)
    if len(host) > _HOST_MAX_CHARACTERS:
        raise UrlRefused(f"the host has more than {_HOST_MAX_CHARACTERS} characters")
    labels = host.split(".")
    if not all(_LABEL.fullmatch(label) for label in labels):
        advice = ", without a dot at its end" if host.endswith(".") else ""
        raise UrlRefused(f"{text[:80]!r} is no name of a host: use letters, digits, dashes and single dots{advice}")
    if _NUMERIC.fullmatch(labels[-1]) is None:
        return host, None
    try:
        address = IPv4Address(host)
    except AddressValueError:
        raise UrlRefused(
            f"{text[:80]!r} is an odd way to write an address: write four decimal numbers, such as 192.0.2.1"
        ) from None
    return str(address), address


def _authority(text: str) -> tuple[str, int | None]:
    if "@" in text:
        raise UrlRefused("the URL has credentials in it: send them in the Authorization header")
    host, port = text, None
    if text.startswith("["):
        inside, bracket, rest = text.partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise UrlRefused(f"{text[:80]!r} is no address: write IPv6 as [2001:4860:4860::8888]")
        host, port = f"{inside}]", rest[1:] if rest else None
    elif ":" in text:
        host, _, port = text.partition(":")
    return host, None if port is None else parse_port(port)


def parse_port(text: str) -> int:
    """A port. Raises: UrlRefused."""
    if _PORT.fullmatch(text) is None or not 1 <= int(text) <= PORT_MAX:
        # Not shown: in a URL it may be half of a password.
        raise UrlRefused(f"it has no port that could be used: use 1 to {PORT_MAX}")
    return int(text)


def _ipv6(text: str) -> tuple[str, Address]:
    if "%" in text:
        raise UrlRefused("the address has a zone: it is about an interface of the machine and cannot be reached")
    try:
        address = IPv6Address(text)
    except AddressValueError:
        raise UrlRefused(f"{text[:80]!r} is no IPv6 address") from None
    return str(address), address


def _ascii(text: str) -> str:
    if text.isascii():
        return text.lower()
    try:
        # Without the mapping of UTS 46, which makes ordinary digits of circled ones and dots of other stops.
        encoded = idna.encode(text.lower()).decode()
    except (idna.IDNAError, UnicodeError):
        encoded = ""
    if not encoded or _OTHER_DOTS.search(text):
        raise UrlRefused(f"{text[:80]!r} is no name of a host that could be registered (IDNA 2008)")
    return encoded
