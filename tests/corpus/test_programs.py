"""Ordinary programs run unmodified, and come to what they come to everywhere."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.corpus.canned import serving
from tests.corpus.native import run_natively
from tests.corpus.programs import BadProgram, Program, Seen, all_programs, read, with_origin
from tests.skep import Answer, Client, client_of, running_skep

PROGRAMS = all_programs()
LEAST = 150
AT_ONCE = 8


def _seen(answer: Answer) -> Seen:
    logs = [{name: value for name, value in entry.items() if name != "time"} for entry in answer.body.get("logs", [])]
    if answer.status == 200:
        return Seen(None, answer.body["result"], logs)
    known = answer.body["error"] == "FunctionError"
    return Seen(answer.body["message"] if known else str(answer.body), None, logs)


async def _run(client: Client, program: Program, origin: str) -> list[Seen]:
    workspace = program.name.replace("_", "-")
    address = f"{origin}/{program.name}"
    deployed = await client.deploy(workspace, program.functions, env=with_origin(program.env, address))
    if deployed.status != 200:
        return [Seen(str(deployed.body), None, [])] * len(program.calls)
    seen = []
    for call in program.calls:
        answer = await client.run(workspace, call.function, **with_origin(call.parameters, address))
        seen.append(_seen(answer))
    return seen


@pytest.fixture(scope="module")
def seen_in_workers(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, list[Seen]]:
    """By name, how the calls of every program ended in workers of one service."""

    async def run_all(skep: Any) -> dict[str, list[Seen]]:
        turns = asyncio.Semaphore(AT_ONCE)
        async with client_of(skep) as client, serving(PROGRAMS) as origin:

            async def run(program: Program) -> list[Seen]:
                async with turns:
                    return await _run(client, program, origin)

            ended = await asyncio.gather(*map(run, PROGRAMS))
        return {program.name: seen for program, seen in zip(PROGRAMS, ended, strict=True)}

    with running_skep(tmp_path_factory.mktemp("corpus"), {"EGRESS_ALLOW": "127.0.0.1:*"}) as skep:
        return asyncio.run(run_all(skep))


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_a_program_runs_unmodified(seen_in_workers: Mapping[str, list[Seen]], program: Program) -> None:
    for call, seen in zip(program.calls, seen_in_workers[program.name], strict=True):
        call.check(seen)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_a_program_comes_to_the_same_natively(program: Program) -> None:
    for call, seen in zip(program.calls, run_natively(program), strict=True):
        call.check(seen)


def test_there_are_programs_enough_and_none_is_another_again() -> None:
    assert len(PROGRAMS) >= LEAST
    bodies = ["".join(function["code"] for function in program.functions.values()) for program in PROGRAMS]
    assert len(set(bodies)) == len(bodies)
    assert [program.name for program in PROGRAMS if bodies[PROGRAMS.index(program)].count("\n") < 9] == []


@pytest.mark.parametrize(
    "text",
    [
        "functions: {f: return 1}\ncalls: [{returns: 1}]",
        "about: a\nfunctions: {}\ncalls: [{returns: 1}]",
        "about: a\nfunctions: {f: return 1}\ncalls: []",
        "about: a\nfunctions: {f: return 1}\ncalls: [{run: f}]",
        "about: a\nfunctions: {f: return 1}\ncalls: [{returns: 1, raises: a}]",
        "about: a\nfunctions: {f: return 1}\ncalls: [{returns: 1, result: 1}]",
        "about: a\nfunctions: {f: return 1, g: return 2}\ncalls: [{returns: 1}]",
        "about: a\nfunctions: {f: return 1}\nfetches: {}\ncalls: [{returns: 1}]",
    ],
)
def test_a_program_that_does_not_say_what_must_happen_is_no_program(tmp_path: Path, text: str) -> None:
    path = tmp_path / "program.yaml"
    path.write_text(text)
    with pytest.raises(BadProgram):
        read(path)
