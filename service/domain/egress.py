"""What functions may reach: the operator's rules and a workspace's, held against a host, its address and a port.

| | |
|---|---|
| nothing set | ports 80 and 443 of every globally routable unicast address |
| `EGRESS_DENY` | refuses what it names, whatever else allows it; a rule without a port means every port |
| a special address or network in `EGRESS_ALLOW` | is reached although it is private or otherwise special |
| hosts or public addresses in `EGRESS_ALLOW` | then nothing else is reached |
| a port in `EGRESS_ALLOW` | is open for what the rule names, `*` opens all; a rule without one means 80 and 443 |
| `network.allow` of a workspace | narrows the above: what is reached must fit one of its rules, too |

A host rule never opens a special address: what a name resolves to is for whoever owns the name to say.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Network, ip_address
from typing import Final

from service.domain.addresses import Address, Network, disguised, is_special, parse_network, special_use
from service.domain.urls import DEFAULT_PORTS, UrlRefused, parse_host, parse_port

ANY_PORT: Final = 0
_WEB_PORTS: Final = frozenset(DEFAULT_PORTS.values())
_MAPPED: Final = IPv6Network("::ffff:0:0/96")
RULE_MAX_CHARACTERS: Final = 300
RULES_MAX: Final = 200
"""Of one workspace: each fetch is held against all of them."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One host pattern, or one network of addresses, with a port or without."""

    text: str
    host: str
    """A name, `*` for every one, `.name` for those below a name; empty if the rule is about addresses."""
    network: Network | None
    port: int | None
    """`ANY_PORT` if the rule says so, None if it says nothing."""

    def fits(self, host: str, address: Address | None) -> bool:
        """Whether the rule names this host or this address."""
        if self.network is not None:
            return address is not None and address.version == self.network.version and address in self.network
        if self.host == "*":
            # Whatever is reached by an address alone is reached, too.
            return True
        if not host:
            return False
        return self.host == host or (self.host[0] == "." and host.endswith(self.host))

    def opens(self, port: int, *, otherwise: frozenset[int] | None) -> bool:
        """Whether the rule is about this port; `otherwise` are those of a rule that names none, None for all."""
        if self.port is None:
            return otherwise is None or port in otherwise
        return self.port in {ANY_PORT, port}


Rules = tuple[Rule, ...]


def parse_rule(text: str) -> Rule:
    """Read one rule. Raises: ValueError with what is wrong, to be read after the rule."""
    if not text or len(text) > RULE_MAX_CHARACTERS:
        raise ValueError("must be a host, an address or a network, each with a port or without")
    try:
        target, port = _split(text)
        if "/" in target or target.startswith("[") or ":" in target:
            return Rule(text, "", _network(target), port)
        if target == "*":
            return Rule(text, "*", None, port)
        pattern = target.removeprefix("*.")
        host, address = parse_host(pattern)
        if address is not None:
            if pattern != target:
                raise ValueError("must be an address without a star before it")
            return Rule(text, "", parse_network(host), port)
        return Rule(text, host if pattern == target else f".{host}", None, port)
    except UrlRefused as refused:
        raise ValueError(f"is no rule: {refused}") from None


def parse_rules(texts: Iterable[str]) -> Rules:
    """Read rules. Raises: ValueError, that names the first bad one."""
    rules: list[Rule] = []
    for text in texts:
        try:
            rules.append(parse_rule(text))
        except ValueError as error:
            raise ValueError(f"must be rules with commas between them, of which {text[:60]!r} {error}") from None
    return tuple(rules)


def _split(text: str) -> tuple[str, int | None]:
    """What a rule is about, and its port."""
    if text.startswith("["):
        inside, bracket, rest = text.partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError("must have IPv6 in brackets before a port, such as [fd00::/8]:443")
        return inside, _port(rest[1:]) if rest else None
    if text.count(":") != 1:
        return text, None
    target, _, port = text.partition(":")
    return target, _port(port)


def _port(text: str) -> int:
    return ANY_PORT if text == "*" else parse_port(text)


def _network(text: str) -> Network:
    if "%" in text:
        raise ValueError("must be an address without a zone")
    try:
        network = parse_network(text.removeprefix("["))
    except ValueError as error:
        raise ValueError(f"is no network: {error}") from None
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        # It would say nothing about the IPv4 address that its author means.
        raise ValueError("must be the IPv4 address itself, without ::ffff: before it")
    return network


class Policy:
    """The operator's rules. Each question is answered with None, or with why not."""

    def __init__(self, *, allow: Rules = (), deny: Rules = ()) -> None:
        self._allow = allow
        self._deny = deny
        self.literal_problem = lru_cache(maxsize=1024)(self._literal_problem)
        """As `address_problem`, for a host that is an address; the same ones are mostly asked about again."""
        self._special = tuple(rule for rule in allow if rule.network is not None and is_special(rule.network))
        self._only_listed = len(self._special) < len(allow)

    def host_problem(self, host: str, port: int, network: Rules | None) -> str | None:
        """Whether a name may be resolved at all. The answer is final only together with that about its address."""
        if network is not None and not _may_fit(network, host, port, None):
            return f"{host} on port {port} is not in the workspace's network.allow"
        if any(rule.fits(host, None) and rule.opens(port, otherwise=None) for rule in self._deny):
            return f"{host} is refused by the operator (EGRESS_DENY)"
        return self._unlisted(_may_fit(self._allow, host, port, _WEB_PORTS), host, None, port)

    def address_problem(self, host: str, address: Address, port: int, network: Rules | None) -> str | None:
        """Whether a connection may be made to an address; `host` is the name that led to it, empty if none did."""
        if network is not None and not _fits(network, host, address, port, None):
            return f"{_shown(host, address)} on port {port} is not in the workspace's network.allow"
        inner = disguised(address)
        if _fits(self._deny, host, address, port, None) or (inner and _fits(self._deny, "", inner, port, None)):
            return f"{_shown(host, address)} is refused by the operator (EGRESS_DENY)"
        if self._opens(address, port) and (
            inner is None or special_use(inner) is None or self._names(address, inner, port)
        ):
            return None
        use = special_use(address)
        if use is not None:
            return f"{_shown(host, address)} is {use}: functions cannot reach it"
        return self._unlisted(_fits(self._allow, host, address, port, _WEB_PORTS), host, address, port)

    def _opens(self, address: Address, port: int) -> bool:
        """Whether a rule is there for the sake of special addresses, this one among them: one that is about all the
        world (0.0.0.0/0) lists public addresses and means no others.
        """
        return _fits(self._special, "", address, port, _WEB_PORTS)

    def _names(self, address: Address, inner: Address, port: int) -> bool:
        """Whether an address that stands for a special one is meant: both are opened, or it is named by itself."""
        exact = tuple(rule for rule in self._special if rule.network is not None and rule.network.num_addresses == 1)
        return self._opens(inner, port) or _fits(exact, "", address, port, _WEB_PORTS)

    def _literal_problem(self, host: str, port: int, network: Rules | None) -> str | None:
        return self.address_problem("", ip_address(host), port, network)

    def _unlisted(self, is_listed: bool, host: str, address: Address | None, port: int) -> str | None:  # noqa: FBT001  # the answer to a question
        if is_listed:
            return None
        if self._only_listed:
            return f"{_shown(host, address)} on port {port} is not among what the operator allows (EGRESS_ALLOW)"
        return None if port in _WEB_PORTS else f"port {port} is not open: 80 and 443 are, others by EGRESS_ALLOW"


def _shown(host: str, address: Address | None) -> str:
    if address is None:
        return host
    return f"the address {address} of {host}" if host else f"the address {address}"


def _fits(rules: Rules, host: str, address: Address, port: int, otherwise: frozenset[int] | None) -> bool:
    return any(rule.fits(host, address) and rule.opens(port, otherwise=otherwise) for rule in rules)


def _may_fit(rules: Rules, host: str, port: int, otherwise: frozenset[int] | None) -> bool:
    """As `_fits`, for a name whose address is not known yet: rules about addresses may turn out to fit."""
    return any(
        (rule.network is not None or rule.fits(host, None)) and rule.opens(port, otherwise=otherwise) for rule in rules
    )
