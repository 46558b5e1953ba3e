"""Whatever is sent: a clear error in the envelope, nothing lost, the next request fine."""

import io
import json
from typing import Any

import pytest

from tests.skep import Answer, Client

JSON = {"Content-Type": "application/json"}
YAML = {"Content-Type": "application/yaml"}
LAUGHS = b"a: &a [x,x,x,x,x,x,x,x,x,x]\n" + b"".join(
    f"{this}: &{this} [{','.join(['*' + last] * 10)}]\n".encode()
    for last, this in zip("abcdefgh", "bcdefghi", strict=True)
)


def _is_envelope(answer: Answer, status: int, error: str) -> bool:
    assert (answer.status, answer.body.get("error")) == (status, error), answer.body
    assert answer.body["message"]
    assert answer.headers["x-correlation-id"]
    return True


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"{", JSON),
        (b"", JSON),
        (b"\xff\xfe", JSON),
        (b'{"functions": {}} x', JSON),
        (b'{"functions": NaN}', JSON),
        (b"[" * 100_000, JSON),
        (b'{"a":' * 100_000, JSON),
        (b'{"functions": {"f": {"code": "\\ud800"}}}', JSON),
        (b"null", JSON),
        (b"[]", JSON),
        (b'"text"', JSON),
        (b"a: [", YAML),
        (b"", YAML),
        (b"\x00", YAML),
        (b"[" * 100_000, YAML),
        (b"functions: {f: {code: a}, f: {code: b}}", YAML),
        (b"functions: !!python/object/apply:os.system ['true']", YAML),
        (b"functions: !!set {a}", YAML),
        (b"--- {functions: {}}\n--- {functions: {}}", YAML),
        (LAUGHS, YAML),
        (b"functions: &a {f: *a}", YAML),
    ],
)
async def test_a_body_that_cannot_be_read(client: Client, workspace: str, body: bytes, headers: dict[str, str]) -> None:
    for path in (f"/v2/functions/{workspace}", f"/v2/functions/{workspace}/run"):
        answer = await client.call("POST", path, data=body, headers=headers)
        assert _is_envelope(answer, 400, "RequestValidationError")
        assert answer.body["details"]
    assert (await client.inline(workspace, "return 1")).result == 1


@pytest.mark.parametrize(
    ("document", "paths"),
    [
        ({}, ["functions"]),
        ({"functions": []}, ["functions"]),
        ({"functions": {"f": 1}}, ["functions.f"]),
        ({"functions": {"f": {}}}, ["functions.f.code"]),
        ({"functions": {"f": {"code": 1, "timeout": "x"}}}, ["functions.f.code", "functions.f.timeout"]),
        ({"functions": {"f": {"code": "", "timeout": -1}}}, ["functions.f.timeout"]),
        ({"functions": {"f": {"code": "", "timeout": True}}}, ["functions.f.timeout"]),
        ({"functions": {"f": {"code": "", "kode": ""}}, "functoins": 1}, ["functions.f.kode", "functoins"]),
        ({"functions": {"f": {"code": "", "language": "ruby"}}}, ["functions.f.language"]),
        ({"functions": {"f": {"code": "", "parameters": []}}}, ["functions.f.parameters"]),
        ({"functions": {"f": {"code": "", "parameters": {"p": 1}}}}, ["functions.f.parameters.p"]),
        ({"functions": {"f": {"code": "", "parameters": {"p": {"type": 3}}}}}, ["functions.f.parameters.p.type"]),
        ({"functions": {}, "env": {"A": 1}}, ["env.A"]),
        ({"functions": {}, "network": {"allow": "x"}}, ["network.allow"]),
        ({"functions": {}, "pool": {"floor": -1}}, ["pool.floor"]),
    ],
)
async def test_every_problem_of_a_definition_has_its_path(
    client: Client, workspace: str, document: Any, paths: list[str]
) -> None:
    answer = await client.call("POST", f"/v2/functions/{workspace}", json=document)
    assert _is_envelope(answer, 400, "RequestValidationError")
    assert sorted(problem["path"] for problem in answer.body["details"]) == paths
    assert (await client.call("GET", f"/v2/functions/{workspace}")).status == 404


@pytest.mark.parametrize("name", ["..%2Fx", "a%2Fb", "_x", "-x", "a.b", "a%20b", "😀", "x" * 64, "%00", "x" * 4000])
async def test_a_name_that_is_none(client: Client, name: str) -> None:
    document = {"functions": {"f": {"code": "return 1"}}}
    for method, path in (
        ("POST", f"/v2/functions/{name}"),
        ("GET", f"/v2/functions/{name}"),
        ("POST", f"/v2/functions/{name}/run/f"),
    ):
        assert _is_envelope(await client.call(method, path, json=document), 400, "RequestValidationError")


@pytest.mark.parametrize("name", ["_f", "class", "1f", "a-b", "f" * 65, "é" * 65, "😀", "a b", "ﬁ", ""])
async def test_a_function_name_that_is_none(client: Client, workspace: str, name: str) -> None:
    answer = await client.deploy(workspace, {name: "return 1"})
    assert _is_envelope(answer, 400, "RequestValidationError")


async def test_a_function_may_be_called_run(client: Client, workspace: str) -> None:
    await client.deploy(workspace, {"run": "return 'ran'"})
    assert (await client.run(workspace, "run")).result == "ran"
    await client.deploy("run", {"run": "return 'ran'"})
    assert (await client.run("run", "run")).result == "ran"


async def test_names_of_a_megabyte_do_no_harm(client: Client, workspace: str) -> None:
    answer = await client.deploy(workspace, {"f" * 1_000_000: "return 1"})
    assert _is_envelope(answer, 400, "RequestValidationError")
    assert len(json.dumps(answer.body)) < 10_000


@pytest.mark.parametrize("path", ["/v2/functions/{}", "/v2/functions/{}/run", "/v2/functions/{}/run/f"])
async def test_a_body_that_is_too_large(client: Client, workspace: str, path: str) -> None:
    body = b'{"parameters": {"x": "' + b"x" * 2_000_000 + b'"}}'
    answer = await client.call("POST", path.format(workspace), data=io.BytesIO(body), headers=JSON)
    assert _is_envelope(answer, 413, "PayloadTooLarge")

    async def trickle() -> Any:
        for start in range(0, len(body), 100_000):
            yield body[start : start + 100_000]

    answer = await client.call("POST", path.format(workspace), data=trickle(), headers=JSON)
    assert _is_envelope(answer, 413, "PayloadTooLarge")
    assert (await client.inline(workspace, "return 1")).result == 1


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        ({"parameters": []}, ["parameters"]),
        ({"parameters": "x"}, ["parameters"]),
        ({"parameters": None}, ["parameters"]),
        ({"params": {}, "other": 1}, ["other", "params"]),
        ([], [""]),
        (1, [""]),
    ],
)
async def test_a_run_body_that_does_not_fit(client: Client, workspace: str, body: Any, paths: list[str]) -> None:
    await client.deploy(workspace, {"f": "return 1"})
    answer = await client.call("POST", f"/v2/functions/{workspace}/run/f", json=body)
    assert _is_envelope(answer, 400, "RequestValidationError")
    assert sorted(problem["path"] for problem in answer.body["details"]) == paths


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        ({}, ["code"]),
        ({"code": 1, "parameters": []}, ["code", "parameters"]),
        ({"code": "return 1", "language": "ruby"}, ["language"]),
        ({"code": "return 1", "timeout": 1}, ["timeout"]),
    ],
)
async def test_an_inline_body_that_does_not_fit(client: Client, workspace: str, body: Any, paths: list[str]) -> None:
    answer = await client.call("POST", f"/v2/functions/{workspace}/run", json=body)
    assert _is_envelope(answer, 400, "RequestValidationError")
    assert sorted(problem["path"] for problem in answer.body["details"]) == paths


async def test_deep_parameters_are_passed_or_refused_but_never_lost(client: Client, workspace: str) -> None:
    await client.deploy(workspace, {"f": {"code": "return 1", "parameters": {"x": {}}}})
    for depth in (100, 900, 1500, 100_000):
        body = b'{"parameters": {"x": ' + b"[" * depth + b"]" * depth + b"}}"
        answer = await client.call("POST", f"/v2/functions/{workspace}/run/f", data=body, headers=JSON)
        assert answer.status in {200, 400}
    assert (await client.run(workspace, "f")).result == 1


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("GET", "/nowhere", 404, "ObjectNotFoundError"),
        ("GET", "/", 404, "ObjectNotFoundError"),
        ("POST", "/v2/functions", 405, "MethodNotAllowed"),
        ("PUT", "/v2/functions/x/run/f", 405, "MethodNotAllowed"),
        ("POST", "/sys/healthcheck", 405, "MethodNotAllowed"),
        ("POST", "/v2/functions/absent-w/run/f", 404, "ObjectNotFoundError"),
        ("GET", "/v2/functions?limit=0", 400, "RequestValidationError"),
        ("GET", "/v2/functions?limit=x&cursor=%21&page=2", 400, "RequestValidationError"),
    ],
)
async def test_a_request_that_leads_nowhere(client: Client, method: str, path: str, status: int, error: str) -> None:
    assert _is_envelope(await client.call(method, path), status, error)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
async def test_a_format_that_is_not_read(client: Client, workspace: str, content_type: str) -> None:
    for path in (f"/v2/functions/{workspace}", f"/v2/functions/{workspace}/run", f"/v2/functions/{workspace}/run/f"):
        answer = await client.call("POST", path, data=b"{}", headers={"Content-Type": content_type})
        assert _is_envelope(answer, 415, "UnsupportedMediaType")


@pytest.mark.parametrize(
    ("given", "kept"), [("abc-123", True), ("x" * 128, True), ("x" * 129, False), ("é", False), ("", False)]
)
async def test_a_correlation_id_is_the_callers_if_it_can_be(client: Client, given: str, kept: bool) -> None:
    answer = await client.call("GET", "/sys/healthcheck", headers={"x-correlation-id": given})
    assert (answer.headers["x-correlation-id"] == given) is kept
    assert answer.headers["x-correlation-id"]


async def test_the_healthcheck_says_version_and_jail(client: Client) -> None:
    answer = await client.call("GET", "/sys/healthcheck")
    assert answer.status == 200
    assert answer.body.keys() == {"status", "version", "jail"}
    assert (await client.call("GET", "/sys/ready")).status == 200
