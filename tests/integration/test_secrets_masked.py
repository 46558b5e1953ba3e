"""What a run says never shows a secret, wherever it is looked for: the answer, the log, the volume, the database."""

import asyncio
import base64

import orjson

from tests.integration.secret_calls import SECRET, deployed, set_secret
from tests.skep import Client, Skep

LEAKS = {
    "printed": "print(secrets['A'])",
    "split over two prints": "s = secrets['A']\nprint(s[:9], end='')\nprint(s[9:])",
    "logged": "log.warning(secrets['A'], token=secrets['A'])",
    "as the name of a field": "log.info('x', **{secrets['A']: 1, 'deep': [{secrets['A']: secrets['A']}]})",
    "as the name of a logger": "import logging\nlogging.getLogger(secrets['A']).error('%s', secrets)",
    "as base64": "import base64\nprint('Basic', base64.b64encode(b'user:' + secrets['A'].encode()).decode())",
    "as JSON": "import json\nprint(json.dumps({'k': secrets['A']}))\nlog.info('x', y=json.dumps(secrets['A']))",
    "as a URL": "import urllib.parse\nprint('https://x/?' + urllib.parse.urlencode({'k': secrets['A']}))",
    "as hex": "print(secrets['A'].encode().hex())",
    "raised": "raise ValueError(secrets['A'])",
    "as a key that is missing": "{}[secrets['A']]",
    "raised from": "try:\n    {}[secrets['A']]\nexcept KeyError as e:\n    raise OSError(repr(secrets['A'])) from e",
    "as the name of an exception": "class E(Exception): pass\nE.__name__ = E.__qualname__ = secrets['A']\nraise E",
    "in an error of the result": "return {secrets['A']: object()}",
    "in a failed fetch": "await fetch('http://' + secrets['B'] + '.invalid/', method=secrets['B'])",
}


async def test_nothing_that_a_run_says_shows_a_secret(client: Client, skep: Skep) -> None:
    alone = "KLMNOPQRSTUVABCDEFGH"
    # What another test lets a function return is in the history as it was: this one's value is nobody else's.
    secret = f"of-this-test-{SECRET}"
    workspace = await deployed(client, A=secret, B=alone)
    said = []
    for way, code in LEAKS.items():
        answer = await client.inline(workspace, code)
        said.append(f"{way}: {answer.body}")
        assert "***" in said[-1] or way == "as the name of an exception", said[-1]
    everything = "\n".join(said).encode()
    kept = {path: path.read_bytes() for path in skep.folder.rglob("*") if path.is_file()}
    assert any(path.name == "skep.db" for path in kept)
    forms = [
        secret, repr(secret)[1:-1], orjson.dumps(secret).decode()[1:-1], secret.encode().hex(), alone, alone.lower(),
        base64.b64encode(secret.encode())[:-4].decode(), base64.b64encode(b"user:" + secret.encode())[8:-4].decode(),
    ]  # fmt: skip
    for form in forms:
        assert form.encode() not in everything
        for path, content in kept.items():
            assert form.encode() not in content, path


async def test_a_result_is_given_as_it_is_and_errors_of_other_workspaces_are_too(client: Client) -> None:
    workspace, other = await deployed(client, A=SECRET), await deployed(client)
    assert (await client.inline(workspace, "return secrets['A']")).result == SECRET
    said = await client.inline(other, f"print({SECRET!r})")
    assert said.messages == [SECRET]


async def test_code_and_parameters_that_are_refused_show_no_secret(client: Client) -> None:
    workspace = await deployed(client, A="1234-5678-9012")
    refused = await client.inline(workspace, "x = '1234-5678-9012'.__class__; import os")
    assert refused.body["error"] == "CompilationError"
    assert "1234-5678" not in str(refused.body)
    await client.deploy(workspace, {"f": {"code": "return p", "parameters": {"p": {"type": "integer"}}}})
    said = await client.run(workspace, "f", p="1234-5678-9012")
    assert said.body["error"] == "RequestValidationError"
    assert "1234-5678" not in str(said.body)


SLOW = """
import asyncio
print("here")
cache["begun"] = 1
while "go" not in cache:
    await asyncio.sleep(0.005)
print(secrets["A"])
raise ValueError(secrets["A"])
"""
WAIT = """
import asyncio
while name not in cache:
    await asyncio.sleep(0.005)
"""


async def test_a_run_in_an_old_worker_is_masked_by_what_it_was_given(client: Client) -> None:
    workspace = await deployed(client, A="the-old-value")
    # Two workers share a cache, and so do the old one and the new one.
    await client.deploy(workspace, {"f": SLOW, "wait": {"code": WAIT, "parameters": {"name": {}}}}, pool={"ceil": 2})
    old = asyncio.create_task(client.run(workspace, "f"))
    await client.run(workspace, "wait", name="begun")
    await set_secret(client, workspace, "A", "the-new-value")
    new = await client.inline(workspace, "cache['go'] = 1\nprint(secrets['A'])\nreturn secrets['A']")
    assert (new.result, new.messages) == ("the-new-value", ["***"])
    answer = await old
    assert answer.body["logs"][-1]["message"] == "***"
    assert (answer.status, answer.body["message"]) == (500, "ValueError: ***")
