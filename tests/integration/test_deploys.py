"""Deploys: all or nothing, with every mistake named, and no run ever sees half of one."""

import asyncio

import pytest

from tests.skep import Client


async def test_every_mistake_of_a_deploy_is_named_with_its_line(client: Client, workspace: str) -> None:
    await client.deploy(workspace, {"a": "return 'old'"})
    bad = {
        "a": "x = 1\nreturn x.__globals__\n",
        "b": "import os\n\ny = 2\ny.__globals__\n",
    }
    answer = await client.deploy(workspace, bad)
    assert (answer.status, answer.body["error"]) == (400, "CompilationError")
    found = [(error["function"], error["line"]) for error in answer.body["details"]["errors"]]
    assert found == [("a", 2), ("b", 1), ("b", 4)]
    assert all(error["column"] >= 1 and error["message"] for error in answer.body["details"]["errors"])
    assert (await client.run(workspace, "a")).result == "old"


async def test_a_syntax_error_has_its_line_and_column(client: Client, workspace: str) -> None:
    answer = await client.deploy(workspace, {"f": "x = 1\nif x\n    return 2\n"})
    (error,) = answer.body["details"]["errors"]
    assert (error["function"], error["line"]) == ("f", 2)


async def test_runs_go_on_while_good_and_bad_deploys_alternate(client: Client, workspace: str) -> None:
    def version(number: int) -> dict[str, str]:
        return {"one": f"return {number}", "both": f"return [await one(), {number}]"}

    await client.deploy(workspace, version(0))
    done = asyncio.Event()
    seen: set[int] = set()

    async def keep_running() -> None:
        while not done.is_set():
            first, second = (await client.run(workspace, "both")).result
            assert first == second
            seen.add(first)

    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(keep_running())
        for number in range(1, 21):
            assert (await client.deploy(workspace, version(number))).status == 200
            assert (await client.deploy(workspace, {"one": "return (", "both": "import os"})).status == 400
            assert (await client.run(workspace, "one")).result == number
        done.set()
    assert len(seen) > 1


async def test_a_running_call_finishes_on_the_version_it_began_with(client: Client, workspace: str) -> None:
    slow = """
import asyncio
cache["in"] = True
for _ in range(100):
    await asyncio.sleep(0.005)
return await name()
"""
    await client.deploy(workspace, {"slow": slow, "name": "return 'old'", "is_in": "return cache.get('in')"})
    running = asyncio.create_task(client.run(workspace, "slow"))
    async with asyncio.timeout(5):
        while not (await client.run(workspace, "is_in")).result:
            pass
    await client.deploy(workspace, {"slow": slow, "name": "return 'new'"})
    assert (await client.run(workspace, "name")).result == "new"
    assert not running.done()
    assert (await running).result == "old"


async def test_an_identical_deploy_starts_afresh(client: Client, workspace: str) -> None:
    functions = {"count": "cache['n'] = cache.get('n', 0) + 1\nreturn cache['n']"}
    await client.deploy(workspace, functions)
    assert [(await client.run(workspace, "count")).result for _ in range(2)] == [1, 2]
    await client.deploy(workspace, functions)
    assert (await client.run(workspace, "count")).result == 1


@pytest.mark.parametrize(
    ("parameter", "path"),
    [
        ({"type": "strin"}, "functions.f.parameters.p.type"),
        ({"minimum": "3"}, "functions.f.parameters.p.minimum"),
        ({"pattern": "(", "type": "string"}, "functions.f.parameters.p"),
        ({"$ref": "https://example.com/schema"}, "functions.f.parameters.p"),
        ({"type": "integer", "default": "x"}, "functions.f.parameters.p.default"),
    ],
)
async def test_a_parameter_schema_that_is_none_is_refused(
    client: Client, workspace: str, parameter: dict[str, object], path: str
) -> None:
    answer = await client.deploy(workspace, {"f": {"code": "return 1", "parameters": {"p": parameter}}})
    assert (answer.status, answer.body["error"]) == (400, "RequestValidationError")
    assert [problem["path"] for problem in answer.body["details"]] == [path]
    assert (await client.call("GET", f"/v2/functions/{workspace}")).status == 404


async def test_the_compiler_is_not_the_services_process(client: Client, workspace: str) -> None:
    answer = await client.deploy(workspace, {"f": "(" * 5000 + ")" * 5000})
    assert answer.status == 400
    answer = await client.deploy(workspace, {"f": "x = " + "-" * 200_000 + "1"})
    assert answer.status == 400
    assert (await client.inline(workspace, "return 1")).result == 1


async def test_a_hidden_name_is_refused(client: Client, workspace: str) -> None:
    for name in ("cache", "log", "print", "list"):
        answer = await client.deploy(workspace, {name: "return 1"})
        assert (answer.status, answer.body["error"]) == (400, "RequestValidationError")
    answer = await client.deploy(workspace, {"f": "global g\ng = 1", "g": "return 1"})
    assert (answer.status, answer.body["error"]) == (400, "CompilationError")
