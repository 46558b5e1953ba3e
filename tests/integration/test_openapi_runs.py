"""Runs at every turn of their lives, and what is told of them: as the document has it."""

import asyncio
from typing import Any

import jsonschema_rs
import orjson
import pytest

from tests.integration.test_jobs import ASYNC, until
from tests.skep import Answer, Client

RUN = "/v2/functions/{workspace}/run/{function}"
ONE = "/v2/functions/{workspace}/runs/{id}"
STALL = {"code": "import asyncio\nprint('here')\nawait asyncio.sleep(60)", "timeout": 60_000}
WHICH = "import asyncio\nwhile 'id' not in cache:\n    await asyncio.sleep(0.005)\nreturn cache['id']"


class Document:
    """What the service says of itself."""

    def __init__(self, document: Any) -> None:
        self._document = document

    def check(self, method: str, path: str, answer: Answer, status: int) -> None:
        """The answer has this status, and is one that is described."""
        assert answer.status == status, answer.body
        told = self._document["paths"][path][method]["responses"][str(status)]
        if "$ref" in told:
            told = self._document["components"]["responses"][told["$ref"].rpartition("/")[2]]
        content = told.get("content", {}).get("application/json")
        if content is None:
            assert answer.body == b""
            return
        form = orjson.loads(orjson.dumps({**content["schema"], "components": self._document["components"]}))
        jsonschema_rs.Draft202012Validator(form).validate(answer.body)


@pytest.fixture
async def document(client: Client) -> Document:
    return Document((await client.call("GET", "/openapi.json")).body)


async def test_a_run_is_described_from_its_acceptance_to_its_end(
    client: Client, workspace: str, document: Document
) -> None:
    await client.deploy(workspace, {"f": STALL})
    runs, body = f"/v2/functions/{workspace}/runs", {"callback": "http://192.0.2.1/"}
    path, headers = f"/v2/functions/{workspace}/run/f", {**ASYNC, "Idempotency-Key": "described"}
    accepted = await client.call("POST", path, json=body, headers=headers)
    document.check("post", RUN, accepted, 202)
    document.check("post", RUN, await client.call("POST", path, json=body, headers=headers), 202)
    document.check("post", RUN, await client.call("POST", path, json={}, headers=headers), 409)
    one = f"{runs}/{accepted.body['id']}"
    document.check("get", ONE, await client.call("GET", one), 200)
    await until(client, workspace, accepted.body["id"], lambda run: run["logs"])
    document.check("get", ONE, await client.call("GET", one), 200)
    document.check("get", f"{ONE}/logs", await client.call("GET", f"{one}/logs"), 200)
    document.check("delete", ONE, await client.call("DELETE", one), 204)
    await until(client, workspace, accepted.body["id"], lambda run: run["finished"])
    document.check("get", ONE, await client.call("GET", one), 200)
    document.check("delete", ONE, await client.call("DELETE", one), 409)
    document.check("delete", ONE, await client.call("DELETE", f"{runs}/nobody"), 404)


async def test_a_run_that_is_called_off_while_it_is_waited_for_is_described(
    client: Client, workspace: str, document: Document
) -> None:
    told = {"code": f"cache['id'] = context.run_id\n{STALL['code']}", "timeout": 60_000}
    await client.deploy(workspace, {"f": told, "which": WHICH}, pool={"ceil": 2})
    waiting = asyncio.create_task(client.run(workspace, "f"))
    run_id = (await client.run(workspace, "which")).result
    document.check("get", ONE, await client.call("GET", f"/v2/functions/{workspace}/runs/{run_id}"), 200)
    document.check("delete", ONE, await client.call("DELETE", f"/v2/functions/{workspace}/runs/{run_id}"), 204)
    document.check("post", RUN, await waiting, 409)


async def test_an_answer_that_is_given_again_is_described(client: Client, workspace: str, document: Document) -> None:
    path, keyed = f"/v2/functions/{workspace}/run", {"Idempotency-Key": "again"}
    for replayed in (None, "true"):
        answer = await client.call("POST", path, json={"code": "return 1"}, headers=keyed)
        document.check("post", RUN.removesuffix("/{function}"), answer, 200)
        assert answer.headers.get("Idempotency-Replayed") == replayed


async def test_what_callbacks_are_signed_with_and_how_the_service_is_doing_are_described(
    client: Client, workspace: str, document: Document
) -> None:
    path = "/v2/functions/{workspace}/webhook-secret"
    document.check("get", path, await client.call("GET", path.replace("{workspace}", workspace)), 200)
    document.check("get", "/sys/ready", await client.call("GET", "/sys/ready"), 200)
