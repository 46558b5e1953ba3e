"""GET /metrics of a real service: what it counts is what its callers saw."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import aiohttp
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from service.workers.sampling import read_usage
from tests.skep import Client, Skep, client_of


@pytest.fixture
async def counted(counted_skep: Skep) -> AsyncIterator[Client]:
    async with client_of(counted_skep) as client:
        yield client


async def _requests(client: Client) -> Counter[int]:
    """Answers so far by status, without this one."""
    answer = await client.call("GET", "/metrics")
    assert answer.status == 200
    return Counter(
        {
            int(sample.labels["status"]): int(sample.value)
            for family in parse_text(answer.body.decode())
            if family.name == "skep_requests"
            for sample in family.samples
        }
    )


async def test_every_answer_is_counted_by_its_status(counted_skep: Skep, counted: Client) -> None:
    before = await _requests(counted)
    seen = Counter({200: 1})  # that one
    answers = [
        await counted.deploy("w", {"me": "return 1", "bad": "raise ValueError", "slow": "await asyncio.sleep(60)"}),
        await counted.deploy("w", {"me": "return ("}),
        await counted.call("PUT", "/v2/functions/w/run/me"),
        await counted.call("POST", "/v2/functions/w", json={"description": "x" * 20_000}),
        await counted.call("DELETE", "/v2/functions/nowhere"),
        await counted.call("HEAD", "/sys/ready"),
        await counted.call("GET", "/nowhere/%ff"),
        *await asyncio.gather(*(counted.run("w", name) for name in ["me", "bad", "none"] * 7)),
    ]
    seen.update(answer.status for answer in answers)
    seen[400] += await _no_http(counted_skep)
    assert seen == {200: 1 + 1 + 1 + 7, 400: 1 + 1, 404: 1 + 1 + 7, 405: 1, 413: 1, 500: 7}
    assert await _requests(counted) - before == seen


async def _no_http(skep: Skep) -> int:
    """Answers to what is no request."""
    host, port = skep.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"\x00\x01\x02\r\n\r\n")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer.count(b" 400 Bad Request\r\n")


async def test_a_caller_that_left_is_counted_as_such(counted: Client) -> None:
    await counted.deploy("leaving", {"slow": "import asyncio\nawait asyncio.sleep(60)"})
    before = (await _requests(counted))[499]
    with pytest.raises(TimeoutError):
        await counted.call(
            "POST", "/v2/functions/leaving/run/slow", timeout=aiohttp.ClientTimeout(total=0.05), json={}
        )  # fmt: skip
    async with asyncio.timeout(10):
        while (await _requests(counted))[499] != before + 1:
            pass


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, "text/plain; version=0.0.4"),
        ("text/plain;version=1.0.0", "text/plain; version=1.0.0"),
        ("application/openmetrics-text;version=1.0.0", "application/openmetrics-text; version=1.0.0"),
        ("application/openmetrics-text;version=a", "text/plain; version=0.0.4"),
    ],
)
async def test_the_format_is_the_one_that_is_asked_for(counted: Client, accept: str | None, content_type: str) -> None:
    answer = await counted.call("GET", "/metrics", headers={} if accept is None else {"Accept": accept})
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith(f"{content_type}; charset=utf-8")
    parse = parse_openmetrics if "openmetrics" in content_type else parse_text
    assert {"skep_runs", "skep_worker_start_seconds", "process_cpu_seconds"} <= {
        family.name for family in parse(answer.body.decode())
    }


async def test_metrics_can_be_asked_about_and_not_posted(counted: Client) -> None:
    head = await counted.call("HEAD", "/metrics")
    assert (head.status, head.body) == (200, b"")
    assert int(head.headers["Content-Length"]) > 1000
    for method in ("POST", "PUT", "DELETE"):
        refused = await counted.call(method, "/metrics", data=b"x")
        assert (refused.status, refused.headers["Allow"]) == (405, "GET, HEAD")
        assert refused.body["error"] == "MethodNotAllowed"


async def test_a_worker_is_known_by_the_number_it_has_outside_its_namespace(
    counted_skep: Skep, counted: Client
) -> None:
    await counted.deploy("numbered", {"me": "cache['x'] = 'x' * 50_000_000"})
    await counted.run("numbered", "me")
    known = [line["pid"] for line in counted_skep.log_lines() if line["event"] == "worker started"]
    assert known[-1] in counted_skep.worker_pids()
    used, zygote = read_usage(known[-1]), read_usage(counted_skep.zygote_pid())
    assert used is not None
    assert zygote is not None
    assert 50_000_000 <= used.memory_bytes - zygote.memory_bytes < 60_000_000
