"""Secrets, from the request that sets one to what a run can say of it: one service, real workers."""

import asyncio
import stat
from pathlib import Path

import orjson
import pytest

from tests.integration.secret_calls import SECRET, deployed, next_name, set_secret
from tests.skep import Client, Skep, client_of


def files_of(skep: Skep, workspace: str) -> list[Path]:
    return list((skep.functions / workspace).iterdir())


async def test_a_secret_is_read_by_its_name(client: Client) -> None:
    workspace = await deployed(client, TOKEN=SECRET, OTHER="0")
    code = """
    import secrets as library
    try:
        secrets["NONE"]
    except KeyError as error:
        missing = error.args[0]
    return [secrets["TOKEN"], secrets.get("NONE", 1), "OTHER" in secrets, list(secrets), repr(secrets), missing,
            len(library.token_hex(4))]
    """
    answer = await client.inline(workspace, code.replace("\n    ", "\n"))
    assert answer.result == [
        SECRET, 1, True, ["OTHER", "TOKEN"], "<secrets: OTHER, TOKEN>",
        "secrets has no 'NONE'; there is: OTHER, TOKEN", 8,
    ]  # fmt: skip


async def test_the_module_of_that_name_is_still_imported(client: Client) -> None:
    workspace = await deployed(client, TOKEN=SECRET)
    assert (await client.inline(workspace, "import secrets\nreturn len(secrets.token_hex(4))")).result == 8


async def test_env_is_what_the_definition_says(client: Client) -> None:
    workspace = next_name()
    refused = await client.deploy(workspace, {"f": "return 1"}, env={"A": 1, "B": None, "1": "x"})
    assert (refused.status, len(refused.body["details"])) == (400, 3)
    await client.deploy(workspace, {"f": "return env['A']", "g": "return env['C']"}, env={"A": "a", "B": "b"})
    assert (await client.run(workspace, "f")).result == "a"
    missing = await client.run(workspace, "g")
    assert "env has no 'C'; there is: A, B" in missing.body["message"]
    await client.call("PATCH", f"/v2/functions/{workspace}", json={"env": {"A": "changed", "B": None}})
    assert (await client.run(workspace, "f")).result == "changed"


async def test_names_are_listed_and_values_never(client: Client) -> None:
    workspace = await deployed(client, B="value-of-b", A="value-of-a", C="value-of-c")
    path = f"/v2/functions/{workspace}/secrets"
    first = await client.call("GET", f"{path}?limit=2")
    assert [item["name"] for item in first.body["items"]] == ["A", "B"]
    assert first.body["items"][0].keys() == {"name", "updated"}
    rest = await client.call("GET", f"{path}?cursor={first.body['cursor']}")
    assert ([item["name"] for item in rest.body["items"]], "cursor" in rest.body) == (["C"], False)
    assert (await client.call("GET", f"{path}/A")).status == 405
    assert (await client.call("DELETE", f"{path}/A")).status == 204
    gone = await client.call("DELETE", f"{path}/A")
    assert (gone.status, "'A'" in gone.body["message"]) == (404, True)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b'"the-value"', b'{"value": the-value}', b'{"value": "the-value', b'{"value": 123456}',
        b'{"value": ["the-value"]}', b'{"value": ""}', b'{"the-value": 1}', b'{"value": "x", "the-value": 1}',
        b'{"value": "\xff the-value"}', b'{"value": "\\ud800 the-value"}',
        b'{"value": "the-value%b"}' % (b"x" * 65_536),
    ],
    ids=lambda body: body[:20].decode("latin1"),
)  # fmt: skip
async def test_what_is_no_value_is_refused_and_never_repeated(client: Client, skep: Skep, body: bytes) -> None:
    workspace = await deployed(client)
    path = f"/v2/functions/{workspace}/secrets/A"
    answer = await client.call("PUT", path, data=body, headers={"Content-Type": "application/json"})
    assert (answer.status, answer.body["error"]) == (400, "RequestValidationError")
    assert "x-correlation-id" in answer.headers
    said = orjson.dumps(answer.body).decode() + (skep.folder / "log").read_text()
    assert "the-value" not in said
    assert "123456" not in orjson.dumps(answer.body).decode()


async def test_names_queries_and_formats_that_do_not_fit_are_refused(client: Client) -> None:
    workspace = await deployed(client)
    path = f"/v2/functions/{workspace}/secrets"
    for name in ("1A", "a-b", "%C3%A4", "A" * 129):
        assert (await client.call("PUT", f"{path}/{name}", json={"value": "x"})).status == 400
    assert (await client.call("PUT", f"{path}/A?dryRun=true", json={"value": "x"})).status == 400
    yaml = await client.call("PUT", f"{path}/A", data=b"value: x", headers={"Content-Type": "application/yaml"})
    assert yaml.status == 415
    assert (await set_secret(client, "nowhere", "A", "x")).status == 404
    assert (await client.call("GET", "/v2/functions/nowhere/secrets")).status == 404
    assert (await client.call("GET", path)).body == {"items": []}


async def test_a_workspace_has_so_many_secrets_and_no_more(client: Client) -> None:
    workspace = await deployed(client)
    for number in range(2):
        assert (await set_secret(client, workspace, f"LARGE{number}", "v" * 65_536)).status == 204
    full = await set_secret(client, workspace, "MORE", "v")
    assert (full.status, full.body["details"][0]["path"]) == (400, "value")
    assert (await set_secret(client, workspace, "LARGE0", "v")).status == 204
    assert (await client.run(workspace, "f")).result["LARGE0"] == "v"
    statuses = [(await set_secret(client, workspace, f"N{number}", "v")).status for number in range(99)]
    assert statuses == [204] * 98 + [400]


async def test_another_value_reaches_the_next_run_and_no_run_fails(client: Client) -> None:
    workspace = await deployed(client, "import asyncio\nawait asyncio.sleep(0.001)\nreturn secrets.get('A')")
    seen: list[object] = []
    is_over = False

    async def keep_running() -> None:
        while not is_over:
            seen.append((await client.run(workspace, "f")).result)

    runners = [asyncio.create_task(keep_running()) for _ in range(4)]
    for number in range(6):
        await set_secret(client, workspace, "A", f"value{number}")
        assert (await client.run(workspace, "f")).result == f"value{number}"
    await client.call("DELETE", f"/v2/functions/{workspace}/secrets/A")
    assert (await client.run(workspace, "f")).result is None
    is_over = True
    await asyncio.gather(*runners)
    assert {value for value in seen if value is not None} <= {f"value{number}" for number in range(6)}


async def test_an_older_revision_runs_with_the_secrets_of_today(client: Client) -> None:
    workspace = await deployed(client, "print(secrets['A'])\nreturn ['old', secrets['A']]", A="first-value")
    await client.deploy(workspace, {"f": "return ['new', secrets['A']]"})
    run = f"/v2/functions/{workspace}/run/f"
    for value in ("first-value", "second-value"):
        await set_secret(client, workspace, "A", value)
        old = await client.call("POST", f"{run}?revision=1", json={})
        assert (old.result, old.messages) == (["old", value], ["***"])
        assert (await client.run(workspace, "f")).result == ["new", value]
    await client.call("DELETE", f"/v2/functions/{workspace}")
    revived = await client.call("POST", f"/v2/functions/{workspace}/revisions/2/activate")
    assert revived.status == 200
    assert (await client.call("GET", f"/v2/functions/{workspace}/secrets")).body == {"items": []}


async def test_a_later_owner_of_the_name_gets_nothing(client: Client, skep: Skep) -> None:
    workspace = await deployed(client, A="value-of-a")
    assert (await client.call("DELETE", f"/v2/functions/{workspace}")).status == 204
    await client.deploy(workspace, {"f": "return dict(secrets)"})
    assert (await client.run(workspace, "f")).result == {}
    # Removed behind the service's back, and made again through it.
    await set_secret(client, workspace, "A", "value-of-a")
    assert (await client.run(workspace, "f")).result == {"A": "value-of-a"}
    (skep.functions / workspace / "workspace.yaml").unlink()
    assert (await client.inline(workspace, "return dict(secrets)")).result == {}
    await client.deploy(workspace, {"f": "return dict(secrets)"})
    assert (await client.run(workspace, "f")).result == {}


def test_the_key_is_for_the_service_alone(skep: Skep) -> None:
    key = skep.folder / "skep.db.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


async def test_definitions_and_bundles_have_no_secrets(client: Client, skep: Skep) -> None:
    workspace = await deployed(client, A="in-no-definition")
    await client.run(workspace, "f")
    read = await client.call("GET", f"/v2/functions/{workspace}")
    assert "secrets" not in read.body
    assert {path.name for path in files_of(skep, workspace)} == {"workspace.yaml", "module.bundle"}
    assert not [path for path in files_of(skep, workspace) if b"in-no-definition" in path.read_bytes()]


async def test_two_services_on_one_database_agree(two_skeps: tuple[Skep, Skep]) -> None:
    async with client_of(two_skeps[0]) as client, client_of(two_skeps[1]) as other:
        workspace = await deployed(client, A="first")
        for number in range(3):
            await set_secret(client, workspace, "A", f"of-one-{number}")
            assert (await other.run(workspace, "f")).result == {"A": f"of-one-{number}"}
            await set_secret(other, workspace, "A", f"of-the-other-{number}")
            assert (await client.run(workspace, "f")).result == {"A": f"of-the-other-{number}"}
        await other.call("DELETE", f"/v2/functions/{workspace}/secrets/A")
        assert (await client.run(workspace, "f")).result == {}
