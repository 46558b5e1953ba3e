"""`dryRun=true`: everything a change would be refused for is said, and nothing is changed."""

from typing import Any

import pytest

from tests.skep import Client

GOOD: dict[str, Any] = {"functions": {"one": {"code": "return 1"}}}
OTHER: dict[str, Any] = {"functions": {"one": {"code": "return 2"}}}
BAD: dict[str, Any] = {"functions": {"one": {"code": "import os\nx = 1 +\n"}, "two": {"code": "return x.__globals__"}}}


def _path(workspace: str, rest: str = "") -> str:
    return f"/v2/functions/{workspace}{rest}"


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_dry_run_answers_as_the_deploy_would_and_creates_nothing(
    client: Client, workspace: str, method: str
) -> None:
    dry = await client.call(method, _path(workspace, "?dryRun=true"), json=GOOD)
    assert (dry.status, dry.body) == (200, GOOD)
    assert (await client.call("GET", _path(workspace))).status == 404
    wet = await client.call(method, _path(workspace, "?dryRun=false"), json=GOOD)
    assert (wet.status, wet.body, wet.headers["ETag"]) == (200, GOOD, dry.headers["ETag"])


@pytest.mark.parametrize(
    ("method", "rest", "change", "status"),
    [
        ("POST", "", OTHER, 200),
        ("PUT", "", OTHER, 200),
        ("PATCH", "", OTHER, 200),
        ("PUT", "/functions/one", {"code": "return 2"}, 200),
        ("PUT", "/functions/two", {"code": "return 2"}, 200),
        ("DELETE", "/functions/one", None, 204),
        ("DELETE", "", None, 204),
    ],
)
async def test_no_change_is_made_by_a_dry_run(
    client: Client, workspace: str, method: str, rest: str, change: object, status: int
) -> None:
    await client.call("POST", _path(workspace), json=GOOD)
    before = await client.call("GET", _path(workspace))
    dry = await client.call(method, _path(workspace, f"{rest}?dryRun=true"), json=change)
    assert dry.status == status, dry.body
    after = await client.call("GET", _path(workspace))
    assert (after.body, after.headers["ETag"]) == (before.body, before.headers["ETag"])
    assert (await client.run(workspace, "one")).result == 1


async def test_a_dry_run_names_every_mistake_with_its_line_and_a_caret(client: Client, workspace: str) -> None:
    answer = await client.call("POST", _path(workspace, "?dryRun=true"), json=BAD)
    assert (answer.status, answer.body["error"]) == (400, "CompilationError")
    errors = answer.body["details"]["errors"]
    assert [(error["function"], error["line"], error["source"]) for error in errors] == [
        ("one", 2, "x = 1 +\n       ^"),
        ("two", 1, "return x.__globals__\n       ^"),
    ]


async def test_conditions_count_for_a_dry_run(client: Client, workspace: str) -> None:
    created = await client.call("POST", _path(workspace), json=GOOD)
    for headers, status in (({"If-Match": created.headers["ETag"]}, 200), ({"If-Match": '"other"'}, 412)):
        answer = await client.call("PUT", _path(workspace, "?dryRun=true"), json=OTHER, headers=headers)
        assert answer.status == status
    missing = await client.call("DELETE", _path(f"{workspace}-missing", "?dryRun=true"))
    assert missing.status == 404


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("dryRun=yes", "query.dryRun"),
        ("dryRun=", "query.dryRun"),
        ("dryRun=true&dryRun=false", "query.dryRun"),
        ("dryrun=true", "query.dryrun"),
        ("dry_run=true", "query.dry_run"),
    ],
)
@pytest.mark.parametrize(("method", "change"), [("POST", GOOD), ("PATCH", GOOD), ("DELETE", None)])
async def test_what_is_no_dry_run_changes_nothing_either(
    client: Client, workspace: str, query: str, path: str, method: str, change: object
) -> None:
    await client.call("POST", _path(workspace), json=OTHER)
    answer = await client.call(method, _path(workspace, f"?{query}"), json=change)
    assert (answer.status, answer.body["error"]) == (400, "RequestValidationError")
    assert [problem["path"] for problem in answer.body["details"]] == [path]
    assert (await client.run(workspace, "one")).result == 2
