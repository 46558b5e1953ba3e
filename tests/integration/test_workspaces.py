"""The workspaces table of the contract, line by line."""

import asyncio
from typing import Any

import pytest
import yaml

from tests.skep import Client, Skep

TWO: dict[str, Any] = {
    "functions": {
        "a": {"code": "return 'a'", "timeout": 1000, "description": "first"},
        "b": {"code": "# zwei\nreturn '''\n\ttab\n'''\n", "parameters": {"x": {"type": "string", "default": "ü"}}},
    },
    "description": "both",
    "env": {"K": "v"},
}


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_definition_comes_back_as_it_was_sent(client: Client, workspace: str, method: str) -> None:
    path = f"/v2/functions/{workspace}"
    answer = await client.call(method, path, json=TWO)
    assert (answer.status, answer.body) == (200, TWO)
    read = await client.call("GET", path)
    assert (read.status, read.body) == (200, TWO)
    assert list(read.body["functions"]) == ["a", "b"]
    assert read.headers["ETag"] == answer.headers["ETag"]


async def test_yaml_goes_in_and_out(client: Client, workspace: str) -> None:
    path = f"/v2/functions/{workspace}"
    sent = yaml.safe_dump(TWO, allow_unicode=True)
    answer = await client.call("POST", path, data=sent.encode(), headers={"Content-Type": "application/yaml"})
    assert (answer.status, answer.body) == (200, sent.encode())
    assert answer.headers["Content-Type"].startswith("application/yaml")
    assert (await client.call("GET", path)).body == TWO
    read = await client.call("GET", path, headers={"Accept": "application/yaml"})
    assert yaml.safe_load(read.body) == TWO
    assert b"code: |" in read.body


async def test_a_run_may_be_asked_for_in_yaml(client: Client, workspace: str) -> None:
    await client.deploy(workspace, {"f": {"code": "return n", "parameters": {"n": {}}}})
    answer = await client.call(
        "POST",
        f"/v2/functions/{workspace}/run/f",
        data=b"parameters: {n: 3}",
        headers={"Content-Type": "application/yaml"},
    )
    assert answer.result == 3


async def test_a_run_needs_no_body(client: Client, workspace: str) -> None:
    await client.deploy(workspace, {"f": "return 1"})
    assert (await client.call("POST", f"/v2/functions/{workspace}/run/f")).result == 1
    assert (await client.call("POST", f"/v2/functions/{workspace}/run/f", json={})).result == 1


async def test_a_patch_of_one_field_leaves_the_rest_alone(client: Client, workspace: str) -> None:
    path = f"/v2/functions/{workspace}"
    await client.call("POST", path, json=TWO)
    answer = await client.call("PATCH", path, json={"functions": {"a": {"timeout": 2000}}})
    assert answer.status == 200
    expected = {**TWO, "functions": {**TWO["functions"], "a": {**TWO["functions"]["a"], "timeout": 2000}}}
    assert answer.body == expected
    assert (await client.call("GET", path)).body == expected


async def test_null_in_a_patch_removes(client: Client, workspace: str) -> None:
    path = f"/v2/functions/{workspace}"
    await client.call("POST", path, json=TWO)
    answer = await client.call("PATCH", path, json={"functions": {"a": None, "b": {"parameters": None}}, "env": None})
    assert answer.body == {"functions": {"b": {"code": TWO["functions"]["b"]["code"]}}, "description": "both"}
    assert (await client.run(workspace, "a")).status == 404


async def test_a_patch_that_breaks_the_definition_changes_nothing(client: Client, workspace: str) -> None:
    path = f"/v2/functions/{workspace}"
    await client.call("POST", path, json=TWO)
    patches: list[Any] = [
        {"functions": None},
        {"functions": {"a": {"code": None}}},
        {"functions": {"a": {"timeout": "1"}}},
        [],
    ]
    for patch in patches:
        assert (await client.call("PATCH", path, json=patch)).status == 400
    assert (await client.call("GET", path)).body == TWO


async def test_conditions_hold_or_refuse(client: Client, workspace: str) -> None:
    path = f"/v2/functions/{workspace}"
    first = await client.call("PUT", path, json=TWO, headers={"If-None-Match": "*"})
    assert first.status == 200
    again = await client.call("PUT", path, json=TWO, headers={"If-None-Match": "*"})
    assert (again.status, again.body["error"]) == (412, "PreconditionFailed")
    tag = first.headers["ETag"]
    second = await client.call("PATCH", path, json={"description": "changed"}, headers={"If-Match": tag})
    assert second.status == 200
    assert second.headers["ETag"] != tag
    for method, body in (("PUT", TWO), ("PATCH", {}), ("DELETE", None)):
        assert (await client.call(method, path, json=body, headers={"If-Match": tag})).status == 412
    assert (await client.call("GET", path)).body["description"] == "changed"
    assert (await client.call("GET", path, headers={"If-None-Match": second.headers["ETag"]})).status == 304
    assert (await client.call("PUT", f"{path}-absent", json=TWO, headers={"If-Match": "*"})).status == 412


async def test_concurrent_patches_are_all_kept(client: Client, workspace: str) -> None:
    path = f"/v2/functions/{workspace}"
    await client.call("POST", path, json={"functions": {}})
    patches = [{"functions": {f"f{number}": {"code": f"return {number}"}}} for number in range(20)]
    answers = await asyncio.gather(*(client.call("PATCH", path, json=patch) for patch in patches))
    assert {answer.status for answer in answers} == {200}
    assert len((await client.call("GET", path)).body["functions"]) == 20


async def test_only_one_of_many_conditional_changes_wins(client: Client, workspace: str) -> None:
    path = f"/v2/functions/{workspace}"
    tag = (await client.call("POST", path, json=TWO)).headers["ETag"]
    answers = await asyncio.gather(
        *(client.call("PATCH", path, json={"description": str(n)}, headers={"If-Match": tag}) for n in range(10))
    )
    assert sorted(answer.status for answer in answers) == [200] + [412] * 9


async def test_one_function_at_a_time(client: Client, workspace: str) -> None:
    path = f"/v2/functions/{workspace}"
    await client.call("POST", path, json=TWO)
    function = {"code": "return 'c'"}
    put = await client.call("PUT", f"{path}/functions/c", json=function)
    assert (put.status, put.body) == (200, function)
    assert (await client.run(workspace, "c")).result == "c"
    assert (await client.call("GET", f"{path}/functions/c")).body == function
    assert (await client.call("DELETE", f"{path}/functions/c")).status == 204
    missing = await client.call("GET", f"{path}/functions/c")
    assert (missing.status, missing.body["error"]) == (404, "ObjectNotFoundError")
    assert "'c'" in missing.body["message"]
    assert (await client.call("DELETE", f"{path}/functions/c")).status == 404
    assert (await client.call("PUT", f"{path}-absent/functions/c", json=function)).status == 404
    assert (await client.call("GET", path)).body == TWO


async def test_a_deleted_workspace_is_gone(client: Client, workspace: str, skep: Skep) -> None:
    path = f"/v2/functions/{workspace}"
    await client.call("POST", path, json=TWO)
    assert (await client.call("DELETE", path)).status == 204
    for method, where in (("GET", path), ("DELETE", path), ("POST", f"{path}/run/a"), ("PATCH", path)):
        answer = await client.call(method, where, json={})
        assert (answer.status, answer.body["error"]) == (404, "ObjectNotFoundError")
        assert workspace in answer.body["message"]
    assert not (skep.functions / workspace).exists()


async def test_workspaces_are_listed_in_pages(client: Client, workspace: str) -> None:
    prefix = workspace[:40]
    names = [f"{prefix}-{number}" for number in range(5)]
    for name in names:
        await client.deploy(name, {"x": "return 1", "y": "return 2"})
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = await client.call("GET", "/v2/functions", params={"limit": "2", **cursor})
        assert page.status == 200
        assert len(page.body["items"]) <= 2
        found += page.body["items"]
        if "cursor" not in page.body:
            break
        cursor = {"cursor": page.body["cursor"]}
    mine = [item for item in found if item["workspace"] in names]
    assert [item["workspace"] for item in mine] == names
    assert all(item["functions"] == ["x", "y"] and item["revision"] for item in mine)
    assert len({item["workspace"] for item in found}) == len(found)


async def test_a_change_from_outside_goes_live_on_the_next_run(client: Client, workspace: str, skep: Skep) -> None:
    await client.deploy(workspace, {"f": "return 'before'"})
    path = skep.functions / workspace / "workspace.yaml"
    assert "code: " in path.read_text()
    edited = path.with_name("edited")
    edited.write_text(path.read_text().replace("before", "after"))
    edited.replace(path)
    assert (await client.run(workspace, "f")).result == "after"
    path.write_text("functions:\n  f:\n    code: |\n      return 'in place'\n")
    assert (await client.run(workspace, "f")).result == "in place"


@pytest.mark.parametrize(
    "content",
    [
        "functions: [",
        "functions: {f: {code: 1}}",
        "functions: {f: {code: 'return ('}}",
        "functions: {f: {code: 'import os'}}",
        "x" * 100,
        "functions: {f: {code: a}, f: {code: b}}",
        "",
    ],
)
async def test_a_broken_file_breaks_its_workspace_only(
    client: Client, workspace: str, skep: Skep, content: str
) -> None:
    await client.deploy(workspace, {"f": "return 1"})
    await client.deploy(f"{workspace[:60]}-2", {"f": "return 2"})
    path = skep.functions / workspace / "workspace.yaml"
    path.write_text(content)
    broken = await client.run(workspace, "f")
    assert (broken.status, broken.body["error"]) == (503, "ServiceUnavailable")
    assert workspace in broken.body["message"]
    assert (await client.run(f"{workspace[:60]}-2", "f")).result == 2
    path.write_text("functions: {f: {code: return 3}}")
    assert (await client.run(workspace, "f")).result == 3


async def test_a_broken_file_can_be_replaced_by_a_deploy(client: Client, workspace: str, skep: Skep) -> None:
    await client.deploy(workspace, {"f": "return 1"})
    (skep.functions / workspace / "workspace.yaml").write_text("{")
    assert (await client.deploy(workspace, {"f": "return 2"})).status == 200
    assert (await client.run(workspace, "f")).result == 2


async def test_a_symlink_on_the_volume_leads_nowhere(client: Client, workspace: str, skep: Skep) -> None:
    outside = skep.folder / f"outside-{workspace}"
    outside.mkdir()
    (outside / "workspace.yaml").write_text("functions: {f: {code: return 'outside'}}")
    (skep.functions / workspace).symlink_to(outside)
    assert (await client.run(workspace, "f")).status == 503
    assert (await client.deploy(workspace, {"f": "return 1"})).status >= 400
    assert "outside" in (outside / "workspace.yaml").read_text()
    (skep.functions / workspace).unlink()
