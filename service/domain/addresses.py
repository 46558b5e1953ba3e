"""Which IP addresses a function may reach unless the operator says otherwise: globally routable unicast, no others.

The tables of IANA (special-purpose address registries, RFC 6890 and its successors) by hand, because Python's own
answers differ between its versions, and because a refusal should say what an address is.
"""

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_SPECIAL_V4: Final = {
    "0.0.0.0/8": "unspecified",
    "10.0.0.0/8": "private",
    "100.64.0.0/10": "of a carrier's network (CGNAT)",
    "127.0.0.0/8": "the machine itself (loopback)",
    "169.254.169.254/32": "of a cloud's metadata service",
    "169.254.0.0/16": "link-local",
    "172.16.0.0/12": "private",
    "192.0.0.0/24": "reserved for protocols",
    "192.0.2.0/24": "for documentation",
    "192.31.196.0/24": "reserved (AS112)",
    "192.52.193.0/24": "reserved (AMT)",
    "192.88.99.0/24": "of a relay (6to4)",
    "192.168.0.0/16": "private",
    "192.175.48.0/24": "reserved (AS112)",
    "198.18.0.0/15": "for benchmarks",
    "198.51.100.0/24": "for documentation",
    "203.0.113.0/24": "for documentation",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved",
}
_SPECIAL_V6: Final = {
    "::/128": "unspecified",
    "::1/128": "the machine itself (loopback)",
    "::ffff:0:0/96": "an IPv4 address in disguise (mapped)",
    "::ffff:0:0:0/96": "an IPv4 address in disguise (translated)",
    "::/96": "an IPv4 address in disguise (compatible)",
    "64:ff9b::/96": "an IPv4 address in disguise (NAT64)",
    "64:ff9b:1::/48": "an IPv4 address in disguise (NAT64)",
    "100::/64": "discarded",
    "2001::/32": "an IPv4 address in disguise (Teredo)",
    "2001:db8::/32": "for documentation",
    "2001::/23": "reserved for protocols",
    "2002::/16": "an IPv4 address in disguise (6to4)",
    "2620:4f:8000::/48": "reserved (AS112)",
    "3fff::/20": "for documentation",
    "5f00::/16": "reserved for routing",
    "fd00:ec2::254/128": "of a cloud's metadata service",
    "fc00::/7": "private",
    "fe80::/10": "link-local",
    "fec0::/10": "private (site-local)",
    "ff00::/8": "multicast",
}
_V4: Final = [(IPv4Network(text), what) for text, what in _SPECIAL_V4.items()]
_V6: Final = [(IPv6Network(text), what) for text, what in _SPECIAL_V6.items()]
_GLOBAL_V6: Final = IPv6Network("2000::/3")
_EMBEDDED_LOW: Final = [IPv6Network(text) for text in ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96")]


@lru_cache(maxsize=4096)
def special_use(address: Address) -> str | None:
    """What an address is if not globally routable unicast, to be read after "is"; None for an ordinary address."""
    known = _V4 if isinstance(address, IPv4Address) else _V6
    for network, what in known:
        if address in network:
            return what
    if isinstance(address, IPv6Address) and address not in _GLOBAL_V6:
        return "reserved"
    # The tables above are ours; should the interpreter know of another range, it counts as well.
    return None if address.is_global and not address.is_multicast else "reserved"


def is_special(network: Network) -> bool:
    """Whether no address of a network is globally routable unicast."""
    if isinstance(network, IPv4Network):
        return any(network.subnet_of(special) for special, _ in _V4)
    return not network.overlaps(_GLOBAL_V6) or any(network.subnet_of(special) for special, _ in _V6)


def disguised(address: Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 address stands for on some networks; None for all others."""
    if isinstance(address, IPv4Address):
        return None
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if any(address in network for network in _EMBEDDED_LOW):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return None


def parse_network(text: str) -> Network:
    """An address, or a network whose host bits are zero. Raises: ValueError that says what is wrong."""
    return ip_network(text)
