"""Nothing that a function fetches leads to where it may not go: through a real worker, names and redirects included."""

import ipaddress
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import product
from pathlib import Path
from urllib.parse import quote

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from pytest_aiohttp import AiohttpClient

from service.app import create_app
from service.broker.resolver import system_resolve
from service.domain.addresses import Address
from service.domain.egress import parse_rules
from service.settings import Settings
from tests.origin import Origin, running_origin
from tests.skep import Client
from tests.ssrf import REFUSED

Served = TestClient[web.Request, web.Application]
Serve = Callable[..., Awaitable[Served]]

TRY_EACH = """
found = []
for url in urls:
    try:
        await fetch(url)
    except OSError as error:
        found.append(str(error))
    else:
        found.append("reached")
return found
"""


async def test_every_url_of_the_table_is_refused_in_a_real_worker(client: Client, workspace: str) -> None:
    urls = list(REFUSED)
    assert len(urls) > 100
    for some in (urls[:60], urls[60:]):
        answer = await client.inline(workspace, TRY_EACH, urls=some)
        for url, said in zip(some, answer.result, strict=True):
            assert REFUSED[url] in said, url


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    async with running_origin() as origin:
        yield origin


@pytest.fixture
def serve(aiohttp_client: AiohttpClient, tmp_path: Path) -> Serve:
    """A Skep in this process, with a resolver of the test's."""

    async def serve(
        answers: Callable[[str], tuple[str, ...]] | None = None, *, allow: str = "", deny: str = ""
    ) -> Served:
        async def resolve(host: str) -> tuple[Address, ...]:
            assert answers is not None
            return tuple(ipaddress.ip_address(text) for text in answers(host))

        settings = Settings(
            functions_dirpath=tmp_path / "functions",
            database_path=tmp_path / "skep.db",
            egress_allow=parse_rules(filter(None, allow.split(","))),
            egress_deny=parse_rules(filter(None, deny.split(","))),
        )
        app = create_app(settings, resolve=system_resolve if answers is None else resolve)
        client: Served = await aiohttp_client(app)
        return client

    return serve


async def _fetched(client: Served, url: str, *, network: list[str] | None = None) -> str:
    """What came of it: the text, or the message of the error."""
    code = (
        "try:\n    return (await fetch(url, headers=headers)).text()\nexcept OSError as error:\n    return str(error)"
    )
    function = {"code": code, "parameters": {"url": {}, "headers": {}}}
    document = {"functions": {"f": function}, **({} if network is None else {"network": {"allow": network}})}
    deployed = await client.post("/v2/functions/w", json=document)
    assert deployed.status == 200, await deployed.text()
    ran = await client.post("/v2/functions/w/run/f", json={"parameters": {"url": url}})
    answer = await ran.json()
    result: str = answer["result"]
    return result


async def test_a_name_that_changes_its_answer_is_connected_to_only_where_it_was_checked(
    serve: Serve, origin: Origin
) -> None:
    answers = iter([("127.0.0.1",), ("169.254.169.254",), ("10.0.0.1",)])
    client = await serve(lambda _host: next(answers), allow=f"127.0.0.1:{origin.port}")
    url = f"http://rebinding.example:{origin.port}/text"
    assert await _fetched(client, url) == "grüße"
    assert next(answers) == ("169.254.169.254",)


async def test_a_name_is_worth_what_it_resolves_to(serve: Serve) -> None:
    addresses = ["169.254.169.254", "10.0.0.1", "127.0.0.1", "::1", "::ffff:127.0.0.1", "fd00::1"]
    names = {f"{name}{number}.example": address for number, address in enumerate(addresses) for name in ("n", "a.n")}
    rules = (f"n{number}.example,*.n{number}.example:*" for number in range(len(addresses)))
    client = await serve(lambda host: (names[host],), allow=",".join(rules))
    for host, address in names.items():
        said = await _fetched(client, f"http://{host}/")
        assert f"the address {address} of {host} is " in said or "::ffff:7f00:1" in said
        assert said.endswith("functions cannot reach it")


async def test_of_several_addresses_only_those_that_are_allowed_are_tried(serve: Serve, origin: Origin) -> None:
    client = await serve(lambda _host: ("10.9.9.9", "169.254.169.254", "127.0.0.1"), allow=f"127.0.0.1:{origin.port}")
    assert await _fetched(client, f"http://mixed.example:{origin.port}/text") == "grüße"


async def test_an_address_where_nobody_answers_is_followed_by_the_next(serve: Serve, origin: Origin) -> None:
    client = await serve(lambda _host: ("127.0.0.2", "127.0.0.1"), allow=f"127.0.0.0/8:{origin.port}")
    assert await _fetched(client, f"http://two.example:{origin.port}/text") == "grüße"


FORBIDDEN = [
    "http://169.254.169.254/latest/meta-data/", "http://127.0.0.1:1/", "http://10.0.0.1/", "http://[::1]/",
    "http://[::ffff:10.0.0.1]/", "http://2130706433/", "http://224.0.0.1/", "http://0.0.0.0/", "file:///etc/passwd",
    "gopher://127.0.0.1/", "http://user@10.0.0.1/", "//169.254.169.254/", "http://internal.example/", "http://x\\@y/",
]  # fmt: skip


async def test_a_redirect_is_held_to_the_policy_again(serve: Serve, origin: Origin) -> None:
    client = await serve(
        lambda host: ("10.0.0.7",) if host == "internal.example" else ("127.0.0.1",), allow=f"127.0.0.1:{origin.port}"
    )
    for number, (to, status) in enumerate(product(FORBIDDEN, [301, 307]), start=1):
        said = await _fetched(client, f"http://a.example:{origin.port}/redirect/{status}?to={quote(to)}")
        assert "cannot reach it" in said or "redirected by a.example" in said, (to, status)
        assert len(origin.requests) == number, (to, status)


async def test_a_workspace_narrows_what_its_operator_allows(serve: Serve, origin: Origin) -> None:
    client = await serve(lambda _host: ("127.0.0.1",), allow=f"127.0.0.1:{origin.port}")
    url = f"http://a.example:{origin.port}/text"
    assert await _fetched(client, url, network=["a.example"]) == "grüße"
    assert await _fetched(client, url, network=["127.0.0.0/8"]) == "grüße"
    for network in ([], ["b.example"], ["a.example:80"], ["10.0.0.0/8"]):
        assert "is not in the workspace's network.allow" in await _fetched(client, url, network=network)
    assert await _fetched(client, url) == "grüße"
    assert "cannot reach it" in await _fetched(client, "http://127.0.0.1/", network=["127.0.0.1", "*"])
    redirect = f"http://a.example:{origin.port}/redirect/302?to=http://b.example:{origin.port}/text"
    assert "b.example" in await _fetched(client, redirect, network=["a.example"])


async def test_bad_rules_of_a_workspace_are_refused_with_their_place(serve: Serve) -> None:
    client = await serve()
    document = {"functions": {}, "network": {"allow": ["a.example", "http://b", "10.0.0.1/8", 5]}}
    refused = await client.post("/v2/functions/w", json=document)
    assert refused.status == 400
    found = {problem["path"] for problem in (await refused.json())["details"]}
    assert found == {"network.allow.1", "network.allow.2", "network.allow.3"}


async def test_a_name_that_nobody_knows_is_an_error_that_says_so(serve: Serve) -> None:
    def nobody(host: str) -> tuple[str, ...]:
        raise OSError(-2, "Name or service not known")

    said = await _fetched(await serve(nobody), "http://nowhere.example/")
    assert said == "the name nowhere.example cannot be resolved: Name or service not known"


async def test_a_name_that_is_refused_is_not_looked_up(serve: Serve) -> None:
    asked: list[str] = []

    def note(host: str) -> tuple[str, ...]:
        asked.append(host)
        return ("127.0.0.1",)

    client = await serve(note, deny="never.example")
    assert await _fetched(client, "http://never.example/") == "never.example is refused by the operator (EGRESS_DENY)"
    assert asked == []


async def test_what_delivers_a_request_cannot_be_set(serve: Serve, origin: Origin) -> None:
    client = await serve(lambda _host: ("127.0.0.1",), allow=f"127.0.0.1:{origin.port}")
    code = "try:\n    await fetch(url, headers=headers)\nexcept ValueError as error:\n    return str(error)"
    for headers in (
        {"Host": "internal.example"}, {"Content-Length": "5"}, {"Transfer-Encoding": "chunked"}, {"X-A": "b\r\nX-C: d"},
        {"X A": "b"}, {"Connection": "upgrade"}, {"Proxy-Authorization": "x"}, {"": "x"}, {"X": "\0"}, {"X:": ""},
    ):  # fmt: skip
        body = {"code": code, "parameters": {"url": origin.url, "headers": headers}}
        ran = await (await client.post("/v2/functions/w/run", json=body)).json()
        assert ran["result"].startswith("headers: ")
    assert origin.requests == []
