"""`fetch` end to end: a real server on 127.0.0.1 that the operator has opened, real workers, all of it over HTTP."""

from typing import Any

import pytest

from tests.origin import Origin, running_origin
from tests.skep import Client

REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "a plain one": ("", {"method": "GET", "url": "/echo", "body": ""}),
    "parameters": (", params={'q': 'a b&c', 'n': 1, 'on': True, 'x': ['1', '2']}", {
        "url": "/echo?q=a+b%26c&n=1&on=true&x=1&x=2"}),
    "JSON": (", method='POST', json={'a': [1, None]}", {"method": "POST", "body": '{"a":[1,null]}'}),
    "a form": (", method='post', data={'a': 'ü', 'b': '2'}", {"method": "POST", "body": "a=%C3%BC&b=2"}),
    "text": (", method='PUT', data='grün'", {"method": "PUT", "body": "grün".encode().decode("latin-1")}),
    "bytes": (", method='POST', data=bytes(range(256))", {"body": bytes(range(256)).decode("latin-1")}),
    "another method": (", method='PROPFIND'", {"method": "PROPFIND"}),
}  # fmt: skip


@pytest.mark.parametrize(("options", "seen"), REQUESTS.values(), ids=REQUESTS)
async def test_a_request_is_what_its_author_asked_for(
    fetching: Client, origin: Origin, options: str, seen: dict[str, Any]
) -> None:
    answer = await fetching.inline("w", f"return (await fetch(url{options})).json()", url=f"{origin.url}/echo")
    assert {name: answer.result[name] for name in seen} == seen


@pytest.mark.parametrize(
    ("options", "content_type"),
    [
        ("json=1", "application/json"),
        ("data={'a': '1'}", "application/x-www-form-urlencoded"),
        ("data='a'", "text/plain; charset=utf-8"),
        ("data=b'a'", None),
        ("json=1, headers={'content-type': 'a/b'}", "a/b"),
    ],
)
async def test_a_body_has_the_type_it_is_of(
    fetching: Client, origin: Origin, options: str, content_type: str | None
) -> None:
    code = f"return dict((await fetch(url, 'POST', {options})).json()['headers'])"
    answer = await fetching.inline("w", code, url=f"{origin.url}/echo")
    assert answer.result.get("content-type") == content_type


async def test_headers_are_sent_as_given_and_nothing_of_the_service_is_among_them(
    fetching: Client, origin: Origin
) -> None:
    code = "return (await fetch(url, headers={'X-Own': ' ü ', 'User-Agent': 'me', 'Authorization': 'a'})).json()"
    answer = await fetching.inline("w", code, url=f"{origin.url}/echo")
    assert answer.result["headers"] == [
        ["host", f"127.0.0.1:{origin.port}"], ["accept", "*/*"], ["accept-encoding", "gzip, deflate"],
        ["x-own", "ü"], ["user-agent", "me"], ["authorization", "a"],
    ]  # fmt: skip


async def test_a_response_has_what_its_documentation_says(fetching: Client, origin: Origin) -> None:
    code = """
    r = await fetch(url)
    return [r.status, r.ok, r.url, r.text(), r.bytes() == r.text().encode(), r.headers["Content-Type"],
            r.headers["CONTENT-TYPE"], "content-type" in r.headers, r.headers.get("nothing"), repr(r)]
    """
    answer = await fetching.inline("w", code.replace("\n    ", "\n"), url=f"{origin.url}/text#part")
    plain = "text/plain; charset=utf-8"
    url = f"{origin.url}/text"
    assert answer.result == [
        200, True, url, "grüße", True, plain, plain, True, None, f"<response 200 of {url}>",
    ]  # fmt: skip


@pytest.mark.parametrize("charset", ["utf-8", "latin-1", "utf-16", "windows-1252"])
async def test_text_is_read_in_the_encoding_that_the_response_names(
    fetching: Client, origin: Origin, charset: str
) -> None:
    answer = await fetching.inline("w", "return (await fetch(url)).text()", url=f"{origin.url}/text?charset={charset}")
    assert answer.result == "grüße"


@pytest.mark.parametrize(
    ("method", "status"), [("GET", 204), ("GET", 304), ("HEAD", 200), ("GET", 404), ("GET", 500), ("DELETE", 200)]
)
async def test_any_status_is_a_response(fetching: Client, origin: Origin, method: str, status: int) -> None:
    code = "r = await fetch(url, method)\nreturn [r.status, r.ok, len(r.bytes()) > 0]"
    answer = await fetching.inline("w", code, url=f"{origin.url}/status/{status}", method=method)
    has_body = method != "HEAD" and status not in {204, 304}
    assert answer.result == [status, status < 300, has_body]


async def test_values_that_cannot_be_joined_are_had_one_by_one(fetching: Client, origin: Origin) -> None:
    answer = await fetching.inline(
        "w", "return (await fetch(url)).headers.get_all('Set-Cookie')", url=f"{origin.url}/cookie"
    )
    assert answer.result == ["other=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT", "session=secret; Path=/"]


async def test_no_cookie_is_kept_for_the_next_fetch(fetching: Client, origin: Origin) -> None:
    code = "await fetch(url)\nreturn (await fetch(url)).text()"
    assert (await fetching.inline("w", code, url=f"{origin.url}/cookie")).result == "none"


async def test_connections_are_kept_for_the_workspace_that_opened_them_and_for_no_other(
    fetching: Client, origin: Origin
) -> None:
    code = "for _ in range(20): await fetch(url)"
    await fetching.inline("keeps-a", code, url=f"{origin.url}/text")
    await fetching.inline("keeps-a", code, url=f"{origin.url}/text")
    assert len(origin.connections) == 1
    await fetching.inline("keeps-b", code, url=f"{origin.url}/text")
    assert len(origin.connections) == 2
    assert len(origin.requests) == 60


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        (301, "GET", "GET"), (301, "POST", "GET"), (302, "POST", "GET"), (303, "POST", "GET"), (303, "PUT", "GET"),
        (302, "PUT", "PUT"), (307, "POST", "POST"), (308, "POST", "POST"), (303, "HEAD", "HEAD"),
    ],
)  # fmt: skip
async def test_a_redirect_is_followed_as_browsers_do(
    fetching: Client, origin: Origin, status: int, method: str, then: str
) -> None:
    code = "r = await fetch(url, method, data='body')\nreturn [r.url, r.json()['body'] if r.bytes() else None]"
    answer = await fetching.inline("w", code, url=f"{origin.url}/redirect/{status}?to=/echo", method=method)
    body = None if then == "HEAD" else "body" if then == method else ""
    assert answer.result == [f"{origin.url}/echo", body]
    assert origin.requests[-1] == f"{then} /echo"


async def test_credentials_stay_with_the_origin_they_were_meant_for(fetching: Client, origin: Origin) -> None:
    code = """
    sent = {"Authorization": "secret", "Cookie": "a=b", "X-Other": "1"}
    return [name for name, _ in (await fetch(url, headers=sent)).json()["headers"]]
    """.replace("\n    ", "\n")
    same = await fetching.inline("w", code, url=f"{origin.url}/redirect/302?to=/echo")
    assert {"authorization", "cookie", "x-other"} <= set(same.result)
    async with running_origin() as other:
        crossed = await fetching.inline("w", code, url=f"{origin.url}/redirect/302?to={other.url}/echo")
    assert not {"authorization", "cookie"} & set(crossed.result)
    assert "x-other" in crossed.result
