"""Code that is hard to compile ends in success or in a clear error, in time, and in no process but a worker's."""

import asyncio
import io
import json
from collections.abc import Iterator

import pytest

from tests.skep import Skep, client_of, running_skep

HARD = {
    "nested brackets": "return " + "[" * 10_000 + "]" * 10_000,
    "nested calls": "return " + "f(" * 5_000 + ")" * 5_000,
    "unary": "return " + "-" * 100_000 + "1",
    "a long sum": "x = " + "1 + " * 250_000 + "1",
    "a long list": "x = [" + "1," * 500_000 + "]",
    "a long string": "x = '" + "a" * 1_000_000 + "'",
    "a long attribute": "x" + ".a" * 400_000,
    "a tower of powers": "return 9**9**9**9",
    "a large shift": "return 1 << 10**9",
    "a repeated string": "return 'x' * 10**10",
    "many statements": "x = 1\n" * 200_000,
    "many calls": "f(x)\n" * 180_000,
    "many names": "".join(f"a{number} = {number}\n" for number in range(20_000)),
    "deep blocks": "".join(f"{' ' * depth}if x:\n" for depth in range(99)) + " " * 99 + "pass",
    "too deep blocks": "".join(f"{' ' * depth}if x:\n" for depth in range(1_000)) + " " * 1_000 + "pass",
    "many refusals": "x.__globals__\n" * 20_000,
    "a huge number": "x = " + "9" * 900_000,
    "a huge format string": "x = f'" + "{a}" * 20_000 + "'",
    "many lambdas": "x = " + "lambda: " * 5_000 + "1",
    "many comprehensions": "x = " + "[" * 150 + "1" + " for x in y]" * 150,
}
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def skep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Skep]:
    with running_skep(tmp_path_factory.mktemp("compiling"), {"REQUEST_MAX_SIZE": "3mb"}) as skep:
        yield skep


@pytest.mark.parametrize("code", HARD.values(), ids=HARD)
async def test_hard_code_ends_and_hurts_nobody(skep: Skep, code: str) -> None:
    async with client_of(skep) as client:
        await client.deploy("fine", {"one": "return 1"})
        deploying = asyncio.create_task(
            client.call("POST", "/v2/functions/hard?dryRun=true", data=_definition(code), headers=JSON)
        )
        while not deploying.done():
            assert (await client.run("fine", "one")).result == 1
        answer = await deploying
        assert answer.status in {200, 400}, answer.body
        if answer.status == 400:
            assert answer.body["error"] == "CompilationError"
            (first, *_) = answer.body["details"]["errors"]
            assert "could not be compiled" not in first["message"], first
        assert (await client.run("fine", "one")).result == 1


def _definition(code: str) -> io.BytesIO:
    return io.BytesIO(json.dumps({"functions": {"hard": {"code": code}}}).encode())
