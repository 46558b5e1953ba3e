"""What is hardly a request: an answer in the envelope all the same, and the connection or the next one is fine."""

import json

import pytest

from tests.raw import say
from tests.skep import Client, Skep


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost x\r\n\r\n",
        b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 10_000 + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
async def test_what_is_no_http_is_refused_in_the_envelope(skep: Skep, client: Client, data: bytes) -> None:
    status, headers, body = await say(skep, data)
    assert 400 <= status < 500
    assert headers["x-correlation-id"]
    answer = json.loads(body)
    assert answer["error"]
    assert answer["message"]
    assert (await client.call("GET", "/sys/healthcheck")).status == 200


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET /a%0Ab HTTP/1.1", 404),
        (b"GET /%00%0a HTTP/1.1", 404),
        (b"GET /v2/functions/%0A HTTP/1.1", 400),
        (b"OPTIONS /v2/functions HTTP/1.1", 405),
        (b"BREW /v2/functions HTTP/1.1", 400),
    ],
)
async def test_odd_requests_are_answered_in_the_envelope(skep: Skep, request_line: bytes, status: int) -> None:
    got, headers, body = await say(skep, request_line + b"\r\nHost: x\r\n\r\n")
    assert got == status
    assert headers["x-correlation-id"]
    assert json.loads(body)["error"]


async def test_an_unknown_expectation_is_ignored(skep: Skep) -> None:
    status, _headers, body = await say(skep, b"GET /sys/healthcheck HTTP/1.1\r\nHost: x\r\nExpect: wonders\r\n\r\n")
    assert (status, json.loads(body)["status"]) == (200, "ok")


async def test_a_caller_that_waits_for_100_continue_gets_it(skep: Skep) -> None:
    head = b"POST /v2/functions/w/run HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 20\r\n"
    status, _headers, _body = await say(skep, head + b"Expect: 100-continue\r\n\r\n")
    assert status == 100


@pytest.mark.parametrize("version", [b"HTTP/1.0", b"HTTP/1.1"])
@pytest.mark.parametrize("connection", [b"close", b"keep-alive"])
async def test_a_run_is_answered_in_each_kind_of_connection(skep: Skep, version: bytes, connection: bytes) -> None:
    body = b'{"code": "return 1"}'
    head = b"POST /v2/functions/w/run %b\r\nHost: x\r\nConnection: %b\r\nContent-Type: application/json\r\n"
    length = b"Content-Length: %d\r\n\r\n" % len(body)
    status, headers, content = await say(skep, head % (version, connection) + length + body)
    assert (status, json.loads(content)["result"]) == (200, 1)
    assert headers["x-run-id"]
    assert headers["content-type"].startswith("application/json")
    # What each version does unless told otherwise need not be said.
    told = headers.get("connection", "close" if version == b"HTTP/1.0" else "keep-alive")
    assert told == connection.decode()


async def test_large_results_go_out_whole(client: Client) -> None:
    for size in (10, 65_000, 70_000, 5_000_000):
        assert len((await client.inline("w", f"return 'x' * {size}")).result) == size


async def test_infinity_in_parameters_is_no_value(client: Client) -> None:
    for body in (b'{"parameters": 1e999}', b'{"code": "return 1", "parameters": 1e999}'):
        path = "/v2/functions/w/run" if b"code" in body else "/v2/functions/w/run/f"
        answer = await client.call("POST", path, data=body, headers={"Content-Type": "application/json"})
        assert (answer.status, answer.body["error"]) == (400, "RequestValidationError")
