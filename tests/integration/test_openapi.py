"""The descriptions of the service and of workspaces as they are given out, and the viewer that shows them."""

import gzip
import re

import jsonschema_rs
import orjson
import pytest

from service.http.docs import FILES
from tests.skep import Client


async def test_the_service_describes_itself(client: Client) -> None:
    answer = await client.call("GET", "/openapi.json")
    assert answer.status == 200
    assert answer.body["openapi"].startswith("3.1")
    assert answer.body["servers"] == [{"url": "/"}]
    known = await client.call("GET", "/openapi.json", headers={"If-None-Match": answer.headers["ETag"]})
    assert known.status == 304


async def test_a_workspace_describes_its_functions(client: Client, workspace: str) -> None:
    parameters = {"name": {"type": "string", "required": True}}
    await client.deploy(workspace, {"hello": {"code": "return 'Hello ' + name", "parameters": parameters}})
    path = f"/v2/functions/{workspace}/openapi.json"
    first = await client.call("GET", path)
    assert first.status == 200
    assert (await client.call("GET", path, headers={"If-None-Match": first.headers["ETag"]})).status == 304
    ((called, methods),) = first.body["paths"].items()
    schema = methods["post"]["requestBody"]["content"]["application/json"]["schema"]
    form = jsonschema_rs.Draft202012Validator(orjson.loads(orjson.dumps(schema)))
    body = {"parameters": {"name": "Ada"}}
    assert form.is_valid(body)
    assert (await client.call("POST", called, json=body)).result == "Hello Ada"
    refused = {"parameters": {"name": 5}}
    assert not form.is_valid(refused)
    assert (await client.call("POST", called, json=refused)).status == 400
    await client.deploy(workspace, {"hello": "return 1", "other": "return 2"})
    second = await client.call("GET", path, headers={"If-None-Match": first.headers["ETag"]})
    assert len(second.body["paths"]) == 2


async def test_a_workspace_that_is_not_there_has_no_description(client: Client, workspace: str) -> None:
    answer = await client.call("GET", f"/v2/functions/{workspace}/openapi.json")
    assert (answer.status, answer.body["error"]) == (404, "ObjectNotFoundError")


async def test_the_viewer_is_all_from_here(client: Client) -> None:
    page = await client.call("GET", "/docs")
    assert page.status == 200
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    wanted = set(re.findall(rb'(?:src|href)="([^"]+)"', page.body)) - {b"data:,", b"openapi.json"}
    assert wanted == {f"docs/{name}".encode() for name in FILES}
    for name, (_package, _path, media_type) in FILES.items():
        file = await client.call("GET", f"/docs/{name}", headers={"Accept-Encoding": "identity"})
        assert (file.status, file.headers["Content-Type"]) == (200, f"{media_type}; charset=utf-8")
        assert "max-age" in file.headers["Cache-Control"]
        known = await client.call("GET", f"/docs/{name}", headers={"If-None-Match": file.headers["ETag"]})
        assert known.status == 304


async def test_files_are_sent_compressed(client: Client) -> None:
    path, headers = "/docs/swagger-ui-bundle.js", {"Accept-Encoding": "gzip"}
    async with client.session.get(path, headers=headers, auto_decompress=False) as response:
        assert response.headers["Content-Encoding"] == "gzip"
        content = await response.read()
    assert b"SwaggerUIBundle" in gzip.decompress(content)


@pytest.mark.parametrize(
    "name", ["page.html", "..%2fdocs.py", "%2e%2e", "swagger-ui.css%00", "__init__.py", "plugin.py"]
)
async def test_no_other_file_is_given_out(client: Client, name: str) -> None:
    assert (await client.call("GET", f"/docs/{name}")).status == 404


async def test_the_viewer_of_a_workspace_asks_for_one_that_can_be(client: Client) -> None:
    assert (await client.call("GET", "/docs?workspace=w")).status == 200
    assert (await client.call("GET", "/docs?workspace=%3Cscript%3E")).status == 400
