"""What a fetch may take: bodies, redirects, time, places; and that nothing of it outlives its run."""

import asyncio
import socket
from typing import Any

import aiohttp
import pytest

from tests.origin import MEGABYTE, Origin
from tests.skep import Answer, Client, Skep


def _failure(answer: Answer) -> str:
    assert answer.status == 500, answer.body
    assert answer.body["details"]["type"] in {"FetchError", "FetchTimeout"}, answer.body
    message: str = answer.body["message"]
    return message


async def test_redirects_end(fetching: Client, origin: Origin) -> None:
    for url in ("/loop", "/many?left=4"):
        answer = await fetching.inline("w", "await fetch(url)", url=f"{origin.url}{url}")
        assert "more than 3 redirects" in _failure(answer)
    assert (await fetching.inline("w", "return (await fetch(url)).ok", url=f"{origin.url}/many?left=3")).result is True


@pytest.mark.parametrize(
    ("encoding", "length"),
    [("gzip", 1000), ("twice", 1001), ("deflate", 1000), ("bare", 1000), ("empty", 0), ("br", 6)],
)
async def test_compressed_bodies_are_decompressed(fetching: Client, origin: Origin, encoding: str, length: int) -> None:
    answer = await fetching.inline(
        "w", "return len((await fetch(url)).bytes())", url=f"{origin.url}/encoded/{encoding}"
    )
    assert answer.result == length


TOO_MUCH = {
    "a bomb": (f"/encoded/gzip?size={200 * MEGABYTE}", "more than 1048576 bytes after decompression"),
    "a body without an end": ("/endless", "more than 1048576 bytes"),
    "a body that says it is too large": (
        f"/large/{MEGABYTE + 1}",
        "the response has 1048577 bytes; 1048576 are the most",
    ),
    "a body cut off": ("/encoded/cut", "the response was cut off"),
    "a broken body": ("/encoded/broken", "cannot be decompressed"),
}


@pytest.mark.parametrize(("path", "message"), TOO_MUCH.values(), ids=TOO_MUCH)
async def test_a_body_that_cannot_be_had_is_an_error_that_can_be_caught(
    fetching: Client, origin: Origin, path: str, message: str
) -> None:
    code = "try:\n    await fetch(url)\nexcept OSError as error:\n    return str(error)"
    answer = await fetching.inline("w", code, url=f"{origin.url}{path}")
    assert message in answer.result


async def test_the_largest_body_arrives_whole(fetching: Client, origin: Origin) -> None:
    code = "import asyncio\nreturn [len(r.bytes()) for r in await asyncio.gather(*[fetch(url) for _ in range(4)])]"
    answer = await fetching.inline("w", code, url=f"{origin.url}/large/{MEGABYTE}")
    assert answer.result == [MEGABYTE] * 4


async def test_no_more_than_the_limit_are_under_way_and_the_rest_wait_in_order(
    fetching: Client, origin: Origin
) -> None:
    code = "import asyncio\nreturn [r.url[-1] for r in await asyncio.gather(*[fetch(f'{url}?{i}') for i in range(9)])]"
    running = asyncio.create_task(fetching.inline("w", code, url=f"{origin.url}/together"))
    for _ in range(4):
        await origin.hanging.acquire()
    origin.release.set()
    assert (await running).result == list("012345678")
    assert origin.at_once_max == 4
    # Those that are under way together may overtake each other on the way there.
    arrived = [int(request[-1]) for request in origin.requests]
    assert all(abs(place - number) < 4 for place, number in enumerate(arrived)), arrived


async def test_a_run_has_so_many_fetches_and_the_next_run_has_them_again(fetching: Client, origin: Origin) -> None:
    code = "for i in range(n): await fetch(url)\nreturn i"
    assert (await fetching.inline("w", code, url=f"{origin.url}/text", n=40)).result == 39
    assert "a run may fetch 40 times" in _failure(await fetching.inline("w", code, url=f"{origin.url}/text", n=41))
    assert (await fetching.inline("w", code, url=f"{origin.url}/text", n=40)).result == 39


async def test_a_fetch_that_takes_too_long_is_a_timeout_error_and_its_connection_is_closed(
    fetching: Client, origin: Origin
) -> None:
    code = "try:\n    await fetch(url, timeout=0.1)\nexcept TimeoutError as error:\n    return str(error)"
    answer = await fetching.inline("w", code, url=f"{origin.url}/hang")
    assert answer.result == f"no response from 127.0.0.1:{origin.port} within 0.1 s"
    await asyncio.wait_for(origin.gone.acquire(), 5)


async def test_a_run_that_times_out_takes_its_fetches_along(fetching: Client, origin: Origin) -> None:
    await fetching.deploy("slow", {"f": {"code": "await fetch(url)", "parameters": {"url": {}}, "timeout": 200}})
    assert (await fetching.run("slow", "f", url=f"{origin.url}/hang")).status == 504
    await asyncio.wait_for(origin.gone.acquire(), 5)


async def test_a_run_whose_caller_leaves_takes_its_fetches_along(fetching: Client, origin: Origin) -> None:
    running = asyncio.create_task(fetching.inline("w", "await fetch(url)", url=f"{origin.url}/hang"))
    await asyncio.wait_for(origin.hanging.acquire(), 5)
    running.cancel()
    await asyncio.wait_for(origin.gone.acquire(), 5)


async def test_a_fetch_left_behind_by_its_run_is_called_off(fetching: Client, origin: Origin) -> None:
    code = "import asyncio\nasyncio.create_task(fetch(url + '/hang'))\nawait fetch(url + '/together')\nreturn 1"
    running = asyncio.create_task(fetching.inline("w", code, url=origin.url))
    for _ in range(2):
        await asyncio.wait_for(origin.hanging.acquire(), 5)
    origin.release.set()
    assert (await running).result == 1
    await asyncio.wait_for(origin.gone.acquire(), 5)


async def test_a_fetch_whose_task_is_cancelled_frees_its_place(fetching: Client, origin: Origin) -> None:
    code = """
    import asyncio
    for _ in range(3):
        tasks = [asyncio.create_task(fetch(url + "/hang")) for _ in range(6)]
        await asyncio.sleep(0.02)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return (await fetch(url + "/text")).status
    """.replace("\n    ", "\n")
    assert (await fetching.inline("w", code, url=origin.url)).result == 200


async def test_siblings_and_tasks_fetch_on_behalf_of_their_run(fetching: Client, origin: Origin) -> None:
    await fetching.deploy("kin", {
        "get": {"code": "return (await fetch(url)).status", "parameters": {"url": {}}},
        "both": {
            "code": "import asyncio\nreturn await asyncio.gather(get(url), asyncio.create_task(get(url)))",
            "parameters": {"url": {}},
        },
    })  # fmt: skip
    assert (await fetching.run("kin", "both", url=f"{origin.url}/text")).result == [200, 200]


async def _raw_server(answer: bytes, *, close: bool) -> tuple[asyncio.Server, int]:
    """Says the same to everybody, whatever they ask for."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        if not close:
            await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


BAD_SERVERS = {
    "no HTTP at all": (b"220 smtp.example ESMTP\r\n", False, "something that is no HTTP"),
    "nothing": (b"", True, "closed the connection without an answer"),
    "half a body": (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", True, "in the middle of its answer"),
    "half a head": (b"HTTP/1.1 200 OK\r\nX-A: ", False, "no response from 127.0.0.1"),
    "a head without an end": (b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 500, False, "something that is no HTTP"),
    "a header without an end": (b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 100_000, False, "something that is no HTTP"),
    "two lengths": (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", True, "no HTTP"),
}


@pytest.mark.parametrize(("said", "close", "message"), BAD_SERVERS.values(), ids=BAD_SERVERS)
async def test_a_bad_server_is_an_error_that_says_so(fetching: Client, said: bytes, close: bool, message: str) -> None:
    server, port = await _raw_server(said, close=close)
    async with server:
        answer = await fetching.inline("w", "await fetch(url, timeout=0.5)", url=f"http://127.0.0.1:{port}/")
        assert message in _failure(answer)


async def test_a_port_where_nobody_listens_is_an_error_that_says_so(fetching: Client) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        answer = await fetching.inline("w", "await fetch(url)", url=f"http://127.0.0.1:{closed.getsockname()[1]}/")
    assert "no connection to 127.0.0.1" in _failure(answer)


async def test_a_server_without_tls_is_an_error_that_says_so(fetching: Client, origin: Origin) -> None:
    answer = await fetching.inline("w", "await fetch(url)", url=f"https://127.0.0.1:{origin.port}/")
    assert "no TLS connection to 127.0.0.1" in _failure(answer)


async def test_a_fetch_is_one_line_of_the_log_without_anything_secret(
    fetching_skep: Skep, fetching: Client, origin: Origin
) -> None:
    code = "await fetch(url, headers={'Authorization': 'hunter2'})"
    ran = await fetching.inline("logged", code, url=f"{origin.url}/text?token=hunter2")
    await fetching.inline("logged", "await fetch('http://10.1.2.3/hunter2')")
    await fetching.inline("logged", "await fetch('http://me:hunter2@x/')")

    def lines() -> list[dict[str, Any]]:
        found = fetching_skep.log_lines()
        return [line for line in found if line["event"] == "fetch" and line["workspace"] == "logged"]

    async with asyncio.timeout(5):
        while len(lines()) < 3:
            await fetching.call("GET", "/sys/ready")  # they are written a moment later
    done, refused, odd = lines()
    assert (done["run"], done["host"], done["status"], done["bytes"]) == (
        ran.headers["x-run-id"], f"127.0.0.1:{origin.port}", 200, len("grüße".encode()),
    )  # fmt: skip
    assert done["ms"] > 0
    assert (refused["host"], refused["status"], refused["failure"]) == ("10.1.2.3", None, "refused")
    assert refused["reason"] == "the address 10.1.2.3 is private: functions cannot reach it"
    assert odd["host"] == ""
    assert "hunter2" not in str(lines())


async def test_the_service_answers_others_while_a_body_streams(fetching: Client, origin: Origin) -> None:
    running = asyncio.create_task(fetching.inline("w", "await fetch(url)", url=f"{origin.url}/endless"))
    async with aiohttp.ClientSession(fetching.session._base_url) as session, session.get("/sys/ready") as response:
        assert response.status == 200
    assert (await running).status == 500
