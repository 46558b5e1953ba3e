"""The egress policy: URLs taken apart, addresses told apart, rules held against both."""

import ipaddress
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.addresses import disguised, special_use
from service.domain.egress import Policy, parse_rule, parse_rules
from service.domain.urls import UrlRefused, parse_url, redirected
from tests.ssrf import REFUSED

DEFAULT = Policy()
PUBLIC_V4, PUBLIC_V6 = ipaddress.ip_address("93.184.216.34"), ipaddress.ip_address("2606:2800:220::1")
LOOPBACK = ipaddress.ip_address("127.0.0.1")


def _problem(url: str) -> str:
    try:
        target = parse_url(url)
    except UrlRefused as refused:
        return str(refused)
    assert target.address is not None
    return DEFAULT.address_problem("", target.address, target.port, None) or ""


@pytest.mark.parametrize(
    ("url", "message"), [(url, said) for url, said in REFUSED.items() if "localhost/" not in url.lower()]
)
def test_what_leads_nowhere_good_is_refused_and_says_why(url: str, message: str) -> None:
    assert message in _problem(url)


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("http://Example.COM", "http://example.com/"),
        ("HTTPS://example.com:443/a?b=c#d", "https://example.com/a?b=c"),
        ("https://example.com:80", "https://example.com:80/"),
        ("http://example.com?a", "http://example.com/?a"),
        ("http://bücher.example/ü?ü", "http://xn--bcher-kva.example/%C3%BC?%C3%BC"),
        ("http://BÜCHER.example/", "http://xn--bcher-kva.example/"),
        ("http://a_b.example/%zz{}", "http://a_b.example/%zz%7B%7D"),
        ("http://93.184.216.34:80/", "http://93.184.216.34/"),
        ("http://[2606:2800:0220::0001]:8080/", "http://[2606:2800:220::1]:8080/"),
        ("http://a.example/..//x/./?q=http://b/", "http://a.example/..//x/./?q=http://b/"),
    ],
)
def test_an_ordinary_url_has_one_spelling(url: str, seen: str) -> None:
    assert parse_url(url).url == seen
    assert parse_url(seen).url == seen


@pytest.mark.parametrize(
    ("location", "seen"),
    [
        ("/b", "http://a.example:81/b"),
        ("b?c", "http://a.example:81/x/b?c"),
        ("//b.example/", "http://b.example/"),
        ("https://b.example", "https://b.example/"),
        ("?q", "http://a.example:81/x/y?q"),
        ("", "http://a.example:81/x/y"),
    ],
)
def test_a_redirect_is_relative_to_where_it_was_said(location: str, seen: str) -> None:
    assert redirected(parse_url("http://a.example:81/x/y"), location).url == seen


@pytest.mark.parametrize("location", ["file:///etc/passwd", "//u@b/", "/a b", "/\tb", "http://[::1", "\\\\b"])
def test_a_redirect_is_held_to_the_same_rules(location: str) -> None:
    with pytest.raises(UrlRefused):
        redirected(parse_url("http://a.example/"), location)


SPELLINGS: list[Callable[[int], str]] = [
    lambda number: str(ipaddress.IPv4Address(number)),
    str,
    hex,
    lambda number: f"0{number:o}",
    lambda number: ".".join(f"0{part:o}" for part in number.to_bytes(4)),
    lambda number: ".".join(hex(part) for part in number.to_bytes(4)),
    lambda number: f"{number >> 24}.{number & 0xFFFFFF}",
    lambda number: f"[::ffff:{ipaddress.IPv4Address(number)}]",
    lambda number: f"[::{ipaddress.IPv4Address(number)}]",
    lambda number: f"[64:ff9b::{ipaddress.IPv4Address(number)}]",
    lambda number: f"[{ipaddress.IPv6Address((0x2002 << 112) | (number << 80))}]",
]


@given(st.integers(0, 2**32 - 1), st.sampled_from(SPELLINGS))
def test_however_an_ipv4_address_is_written_only_a_global_one_gets_through(
    number: int, spelling: Callable[[int], str]
) -> None:
    address = ipaddress.IPv4Address(number)
    try:
        target = parse_url(f"http://{spelling(number)}/")
    except UrlRefused:
        return
    assert target.address is not None
    if DEFAULT.address_problem("", target.address, 80, None) is None:
        assert target.address == address
        assert address.is_global
        assert not address.is_multicast


@given(st.integers(0, 2**128 - 1))
def test_only_a_global_ipv6_address_gets_through(number: int) -> None:
    address = ipaddress.IPv6Address(number)
    if special_use(address) is None:
        assert address.is_global
        assert not address.is_multicast
        assert address.ipv4_mapped is None
        assert address.sixtofour is None
        assert address.teredo is None
        assert disguised(address) is None


@given(st.text(max_size=40))
def test_no_text_is_too_odd_to_be_refused(text: str) -> None:
    for url in (text, f"http://{text}", f"http://{text}/", f"http://a{text}"):
        try:
            target = parse_url(url)
        except UrlRefused:
            continue
        assert target.host.isascii()
        assert target.path.isascii()
        assert not set(target.url) & set(" \t\r\n\\@") - set("@" if "@" in target.path else "")
        assert parse_url(target.url).url == target.url


@pytest.mark.parametrize(
    ("allow", "deny", "host", "address", "port", "reached"),
    [
        ("", "", "a.example", PUBLIC_V4, 80, True),
        ("", "", "a.example", PUBLIC_V6, 443, True),
        ("", "", "a.example", PUBLIC_V4, 8080, False),
        ("", "", "a.example", LOOPBACK, 80, False),
        ("", "a.example", "a.example", PUBLIC_V4, 80, False),
        ("", "a.example", "b.a.example", PUBLIC_V4, 80, True),
        ("", "*.a.example", "b.c.a.example", PUBLIC_V4, 80, False),
        ("", "*.a.example", "a.example", PUBLIC_V4, 80, True),
        ("", "*.a.example", "ba.example", PUBLIC_V4, 80, True),
        ("", "a.example:443", "a.example", PUBLIC_V4, 80, True),
        ("", "a.example:443", "a.example", PUBLIC_V4, 443, False),
        ("", "93.184.0.0/16", "a.example", PUBLIC_V4, 80, False),
        ("", "*", "a.example", PUBLIC_V4, 80, False),
        ("a.example", "", "a.example", PUBLIC_V4, 80, True),
        ("a.example", "", "a.example", PUBLIC_V4, 8080, False),
        ("a.example", "", "b.example", PUBLIC_V4, 80, False),
        ("a.example", "", "", PUBLIC_V4, 80, False),
        ("a.example", "", "a.example", LOOPBACK, 80, False),
        ("a.example:*", "", "a.example", LOOPBACK, 80, False),
        ("*", "", "a.example", LOOPBACK, 80, False),
        ("a.example:8443", "", "a.example", PUBLIC_V4, 8443, True),
        ("a.example:8443", "", "a.example", PUBLIC_V4, 443, False),
        ("a.example:*", "", "a.example", PUBLIC_V4, 22, True),
        ("*,*:8443", "", "b.example", PUBLIC_V4, 8443, True),
        ("*:8443", "", "b.example", PUBLIC_V4, 80, False),
        ("127.0.0.1", "", "a.example", LOOPBACK, 80, True),
        ("127.0.0.1", "", "", LOOPBACK, 80, True),
        ("127.0.0.1", "", "", LOOPBACK, 8080, False),
        ("127.0.0.1:8080", "", "", LOOPBACK, 8080, True),
        ("127.0.0.1:8080", "", "", LOOPBACK, 80, False),
        ("127.0.0.0/8:*", "", "", LOOPBACK, 22, True),
        ("127.0.0.1", "", "a.example", PUBLIC_V4, 80, True),
        ("93.184.216.0/24", "", "a.example", PUBLIC_V4, 80, True),
        ("93.184.216.0/24", "", "a.example", PUBLIC_V6, 80, False),
        ("a.example,127.0.0.1:8080", "", "b.example", LOOPBACK, 8080, True),
        ("a.example,127.0.0.1:8080", "", "b.example", PUBLIC_V4, 80, False),
        ("127.0.0.1", "127.0.0.0/8", "", LOOPBACK, 80, False),
        ("a.example", "a.example", "a.example", PUBLIC_V4, 80, False),
        ("::/0", "127.0.0.0/8", "", ipaddress.ip_address("::ffff:127.0.0.1"), 80, False),
        ("::/0", "10.0.0.0/8", "", ipaddress.ip_address("2002:a00:1::"), 80, False),
        ("[::1]:8080", "", "", ipaddress.ip_address("::1"), 8080, True),
    ],
)
def test_who_wins(  # a table
    allow: str, deny: str, host: str, address: ipaddress.IPv4Address, port: int, reached: bool
) -> None:
    policy = Policy(allow=parse_rules(filter(None, allow.split(","))), deny=parse_rules(filter(None, deny.split(","))))
    problem = policy.address_problem(host, address, port, None)
    assert (problem is None) == reached
    if reached and host:
        assert policy.host_problem(host, port, None) is None


@pytest.mark.parametrize(
    ("network", "host", "address", "port", "reached"),
    [
        ([], "a.example", PUBLIC_V4, 80, False),
        (["a.example"], "a.example", PUBLIC_V4, 443, True),
        (["a.example"], "b.example", PUBLIC_V4, 443, False),
        (["a.example:443"], "a.example", PUBLIC_V4, 80, False),
        (["*.example"], "b.example", PUBLIC_V4, 443, True),
        (["a.example"], "a.example", LOOPBACK, 80, False),
        (["a.example:8080"], "a.example", PUBLIC_V4, 8080, False),
        (["127.0.0.1"], "", LOOPBACK, 80, False),
        (["10.1.2.3"], "a.example", ipaddress.ip_address("10.1.2.3"), 8080, True),
        (["10.1.2.3:80"], "a.example", ipaddress.ip_address("10.1.2.3"), 8080, False),
        (["a.example"], "a.example", ipaddress.ip_address("10.1.2.3"), 8080, True),
        (["0.0.0.0/0"], "a.example", LOOPBACK, 80, False),
    ],
)
def test_a_workspace_only_narrows(
    network: list[str], host: str, address: ipaddress.IPv4Address, port: int, reached: bool
) -> None:
    policy = Policy(allow=parse_rules(["10.1.2.3:8080"]))
    rules = parse_rules(network)
    found = policy.address_problem(host, address, port, rules) or (host and policy.host_problem(host, port, rules))
    assert (not found) == reached


@pytest.mark.parametrize(
    ("allow", "deny", "address", "port", "reached"),
    [
        ([], ["*"], "8.8.8.8", 443, False),
        ([], ["*:443"], "8.8.8.8", 443, False),
        ([], ["*:443"], "8.8.8.8", 80, True),
        (["10.0.0.1:80"], ["*"], "10.0.0.1", 80, False),
        (["*"], [], "8.8.8.8", 443, True),
        (["*", "*:8443"], [], "8.8.8.8", 8443, True),
        (["*:*"], [], "127.0.0.1", 80, False),
        (["0.0.0.0/0:8443"], [], "8.8.8.8", 8443, True),
        (["0.0.0.0/0:8443"], [], "127.0.0.1", 8443, False),
        (["0.0.0.0/0:8443"], [], "169.254.169.254", 8443, False),
        (["64:ff9b::/96", "*"], [], "64:ff9b::808:808", 443, True),
        (["64:ff9b::/96", "*"], [], "64:ff9b::a9fe:a9fe", 443, False),
        (["64:ff9b::/96", "*"], [], "64:ff9b::7f00:1", 443, False),
        (["64:ff9b::/96", "10.0.0.1"], [], "64:ff9b::a00:1", 443, True),
        (["64:ff9b::a00:1"], [], "64:ff9b::a00:1", 443, True),
    ],
    ids=str,
)
def test_an_address_by_itself_is_held_against_the_same_rules(
    allow: list[str], deny: list[str], address: str, port: int, reached: bool
) -> None:
    policy = Policy(allow=parse_rules(allow), deny=parse_rules(deny))
    assert (policy.literal_problem(address, port, None) is None) == reached


def test_a_star_in_a_workspace_narrows_nothing_and_opens_nothing() -> None:
    star = parse_rules(["*"])
    assert DEFAULT.literal_problem("8.8.8.8", 443, star) is None
    assert DEFAULT.literal_problem("127.0.0.1", 80, star) is not None


def test_a_name_is_not_even_looked_up_where_nothing_could_come_of_it() -> None:
    only = Policy(allow=parse_rules(["a.example"]), deny=parse_rules(["*.bad.example"]))
    assert only.host_problem("b.example", 80, None) is not None
    assert only.host_problem("x.bad.example", 80, None) is not None
    assert DEFAULT.host_problem("a.example", 25, None) == "port 25 is not open: 80 and 443 are, others by EGRESS_ALLOW"
    assert DEFAULT.host_problem("a.example", 80, ()) == "a.example on port 80 is not in the workspace's network.allow"


@pytest.mark.parametrize(
    "rule",
    [
        "", "a b", "http://a.example", "a.example/path", "a.example:", "a.example:0", "a.example:99999", "a.example:x",
        "10.0.0.1/8", "10.0.0.0/33", "10.0.0", "0x7f.1", "127.1", "*.10.0.0.1", "a.*.example", "**", "*example.com",
        "[::1", "[::1]x", "fd00::/200", "[a.example]:80", "a..b", "user@a.example", "x" * 400, "::1%lo",
        "::ffff:8.8.8.8", "[::ffff:8.8.8.8]:443", "::ffff:0808:0808/128", "::ffff:0:0/96",
    ],
)  # fmt: skip
def test_a_bad_rule_is_refused(rule: str) -> None:
    with pytest.raises(ValueError, match=r"^(must|is no|has) ?"):
        parse_rule(rule)
