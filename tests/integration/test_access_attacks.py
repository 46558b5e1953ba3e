"""What somebody without a good key tries, and what somebody with one tries that is not for everything."""

import json

import pytest
import yarl

from tests.keyed import ADMIN_KEY, RIGHT, WRONG, Keyed, basic, bearer, call
from tests.raw import connected, read, say
from tests.skep import Client, Skep, client_of

LIST = "/v2/functions"


def _key(keyed: Keyed, who: str) -> str:
    return keyed.by(who)["Authorization"].removeprefix("Bearer ")


@pytest.mark.parametrize("path", [LIST, f"/v2/functions/{RIGHT}/run/f"])
@pytest.mark.parametrize(
    "authorization",
    [
        b"",
        b" ",
        b"Bearer",
        b"Bearer ",
        b"Bearer  \t",
        b"Bearer {key} {key}",
        b"Bearer {key},{key}",
        b"Bearer Bearer {key}",
        b"Bearer {key}x",
        b"Bearer {key}\tx",
        b"Bearer \xc2\xa0{key}",
        b"Bearer {key}\xff",
        b"Bearer \xd9\xa3\xf0\x9f\x94\x91",
        b"Bearer sk_",
        b"Bearer sk_{id}_",
        b"Bearer {id}",
        b"Bearer " + b"A" * 1017,
        b"Bearer " + b"A" * 1018,
        b"Bearer sk_" + b"a" * 7000,
        b"{key}",
        b"Token {key}",
        b"Digest {key}",
        b'Bearer "{key}"',
        b"Bearer key={key}",
        b"Basic",
        b"Basic {key}",
        b"Basic Og==",
        b"Basic OnBhc3N3b3Jk",
        b"Basic /////w==",
        b"Basic c2s=",
        b"Basic c2s6=",
        b"Basic " + b"A" * 1000,
    ],
)
async def test_what_holds_no_key_is_a_401(keyed: Keyed, path: str, authorization: bytes) -> None:
    key = _key(keyed, "admin all").encode()
    header = authorization.replace(b"{key}", key).replace(b"{id}", key[3:15])
    method = b"POST" if "run" in path else b"GET"
    head = b"%b %b HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nAuthorization: %b\r\n\r\n"
    status, headers, body = await say(keyed.skep, head % (method, path.encode(), header))
    assert (status, json.loads(body)["error"]) == (401, "AuthenticationError")
    assert headers["www-authenticate"] == 'bearer realm="skep"'
    assert key not in body


@pytest.mark.parametrize("end", [b"\r\n", b"\x00\r\n", b"\r\n\x00"])
async def test_a_megabyte_or_a_nul_in_the_header_is_refused_and_the_next_request_is_fine(
    keyed: Keyed, end: bytes
) -> None:
    size = 10**6 if end == b"\r\n" else 10
    head = b"GET /v2/functions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk_" + b"a" * size + end
    async with connected(keyed.skep) as (reader, writer):
        writer.write(head + b"\r\n")
        status, _headers, body = await read(reader)
    assert (status, json.loads(body)["error"]) == (400, "RequestValidationError")
    async with client_of(keyed.skep) as client:
        assert (await call(client, "GET", LIST, keyed.by("read all"))).status == 200


async def test_two_authorization_headers_are_none(keyed: Keyed) -> None:
    good = b"Authorization: Bearer %b\r\n" % _key(keyed, "admin all").encode()
    head = b"GET /v2/functions HTTP/1.1\r\nHost: x\r\n%b%b\r\n"
    assert (await say(keyed.skep, head % (good, b"")))[0] == 200
    for first, second in ((good, good), (good, b"authorization: Bearer x\r\n"), (b"AUTHORIZATION: Basic x\r\n", good)):
        assert (await say(keyed.skep, head % (first, second)))[0] in {400, 401}


async def test_scheme_and_header_may_be_written_in_any_case(keyed: Keyed) -> None:
    key = _key(keyed, "read all")
    async with client_of(keyed.skep) as client:
        for authorization in (f"bearer {key}", f"BEARER   {key}", f"Bearer  {key} "):
            assert (await call(client, "GET", LIST, {"AUTHORIZATION": authorization})).status == 200
        lower = {"Authorization": basic(key)["Authorization"].replace("Basic ", "basic  ")}
        for headers in (basic(key), basic(key, "p:w"), lower, basic(ADMIN_KEY)):
            assert (await call(client, "GET", LIST, headers)).status == 200
        # The key is the user's name, and nothing else is.
        assert (await call(client, "GET", LIST, basic("user", key))).status == 401


async def test_a_key_elsewhere_opens_nothing(keyed: Keyed) -> None:
    key = _key(keyed, "admin all")
    async with client_of(keyed.skep) as client:
        for query in ("access_token", "key", "api_key", "token", "authorization"):
            assert (await call(client, "GET", f"{LIST}?{query}={key}")).status == 401
        for header in ("Cookie", "X-Api-Key", "Proxy-Authorization", "X-Authorization", "X-Forwarded-Authorization"):
            assert (await call(client, "GET", LIST, {header: f"Bearer {key}"})).status == 401


async def test_who_is_forwarded_is_nobody(keyed: Keyed) -> None:
    async with client_of(keyed.skep) as client:
        for header in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Forwarded-Host", "X-Original-URL"):
            for value in ("127.0.0.1", "for=127.0.0.1", "/sys/ready"):
                assert (await call(client, "GET", LIST, {header: value})).status == 401
        # The audit log has the address of the connection.
        headers = {**keyed.by("admin all"), "X-Forwarded-For": "192.0.2.1", "Forwarded": "for=192.0.2.1"}
        await call(client, "GET", "/v2/keys", headers)
        newest = await call(client, "GET", "/v2/audit?limit=1", keyed.by("admin all"))
    (line,) = newest.body["items"]
    assert (line["action"], line["address"], line["key"]) == ("keys.listed", "127.0.0.1", "admin all")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        # The name that is held against the key is the one that the handler works with.
        ("/v2/functions/%74eam-right", 200),
        ("/v2/functions/%6fther", 404),
        ("/v2/functions/team-right%2F..%2Fother", 400),
        ("/v2/functions/team-right/../other", 404),
        ("/v2/functions/team-right%2e%2e/other", 404),
        ("/v2/functions/team-..%2fother", 400),
        ("/v2/functions//other", 404),
        ("/v2/functions/team-%00other", 400),
        ("/v2/functions/other%00team-right", 404),
        ("/v2/functions/team-right;/../other", 404),
        ("/v2/functions/%74eam-right/functions/f", 200),
        ("/v2/functions/other/functions/%66", 404),
        ("/v2/functions/TEAM-right", 404),
        ("/v2/functions/%ff%fe", 404),
        ("/v2/functions/team-%ff", 400),
        ("/v2/functions/%ud800", 404),
        ("/v2/functions/\uff54eam-right", 400),
        ("//v2/functions/other", 404),
        ("/./v2/functions/other", 404),
        ("http://127.0.0.1/v2/functions/other", 404),
    ],
)
async def test_no_way_to_write_a_path_leads_to_another_workspace(keyed: Keyed, path: str, status: int) -> None:
    authorization = keyed.by("read right")["Authorization"].encode()
    head = b"GET %b HTTP/1.1\r\nHost: x\r\nAuthorization: %b\r\n\r\n" % (path.encode(), authorization)
    got, _headers, body = await say(keyed.skep, head)
    assert got == status, body
    assert b"return 1" not in body or status == 200


async def test_a_run_cannot_be_had_by_encoding_its_path(keyed: Keyed) -> None:
    """The shortcut takes plain paths only; what it leaves to the router is asked for the same key."""
    async with client_of(keyed.skep) as client:
        for path, status in ((f"/v2/functions/{WRONG}/run/%66", 404), ("/v2/functions/%74eam-right/run/%66", 200)):
            url = yarl.URL(f"{keyed.skep.url}{path}", encoded=True)
            async with client.session.post(url, json={}) as nobody:
                assert nobody.status == 401
            async with client.session.post(url, json={}, headers=dict(keyed.by("run right"))) as somebody:
                assert somebody.status == status


async def test_an_admin_of_some_workspaces_cannot_become_one_of_all(keyed: Keyed) -> None:
    body = {"name": "more", "role": "admin"}
    async with client_of(keyed.skep) as client:
        assert (await call(client, "POST", "/v2/keys", keyed.by("admin right"), body)).status == 403
        for path in ("/v2/keys", "/v2/audit", "/metrics"):
            assert (await call(client, "GET", path, keyed.by("admin right"))).status == 403


async def test_no_key_gets_into_the_log(keyed: Keyed) -> None:
    key = _key(keyed, "admin all")
    async with client_of(keyed.skep) as client:
        for path in (f"/{key}", f"/v2/functions/{key}", f"/v2/functions/{RIGHT}/functions/{key}", f"{LIST}?k={key}"):
            for headers in (bearer(key), {}, {"x-correlation-id": key, "User-Agent": key, "Referer": key}):
                await call(client, "GET", path, headers)
        made = await call(client, "POST", "/v2/keys", bearer(ADMIN_KEY), {"name": "logged?", "role": "read"})
        await call(client, "POST", "/v2/keys", bearer(key), {"name": key, "role": "x", key: 1})
    await say(keyed.skep, f"GET /{key} HTTP/9.9\r\nAuthorization: Bearer {key}\r\n\r\n".encode())
    # Lines are written together, this one after those.
    await _log_is_written(keyed.skep)
    log = (keyed.skep.folder / "log").read_text()
    assert key[:16] in log  # what may be shown
    for secret in (key, key[-38:], made.body["key"], made.body["key"][-38:], ADMIN_KEY):
        assert secret not in log


async def test_a_key_where_it_does_not_belong_is_refused_and_kept_nowhere(keyed: Keyed) -> None:
    key = _key(keyed, "admin all")
    document = {"functions": {"f": {"code": "return 1"}}}
    async with client_of(keyed.skep) as client:
        named = await call(client, "POST", f"/v2/functions/{key}", bearer(key), document)
        said = await call(
            client, "POST", LIST + "/right-place", {**bearer(key), "x-deploy-message": f"by {key}"}, document
        )
    for answer in (named, said):
        assert (answer.status, answer.body["error"]) == (400, "RequestValidationError")
        assert key not in str(answer.body)
    assert key[-38:].encode() not in (keyed.skep.folder / "skep.db-wal").read_bytes()


async def _log_is_written(skep: Skep) -> None:
    mark = "the-last-line"
    async with client_of(skep) as client:
        await _mark(client, mark)
        while mark not in (skep.folder / "log").read_text():
            await _mark(client, "again")


async def _mark(client: Client, mark: str) -> None:
    await call(client, "GET", "/sys/healthcheck", {"x-correlation-id": mark})


async def test_no_key_is_on_disk(keyed: Keyed) -> None:
    key = _key(keyed, "admin all")
    files = [file for file in keyed.skep.folder.rglob("*") if file.is_file() and "skep.db" in str(file)]
    assert files
    for file in files:
        content = file.read_bytes()
        assert key.encode() not in content
        assert key[-38:].encode() not in content
        assert ADMIN_KEY.encode() not in content
