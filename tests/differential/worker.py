"""Runs programs as functions of a workspace, in a real jailed worker."""

import re
from collections.abc import Sequence
from typing import Final

from tests.differential.outcomes import WORKSPACE, Outcome, name_of, outcome
from tests.skep import Answer, Client

_CALL: Final = re.compile(r'^  Function "(\w+)", line (\d+)(?:, in (\S+))?$', re.MULTILINE)
TIMEOUT_MS: Final = 5000
LOST: Final = "not a function's own error"


async def outcomes(client: Client, programs: Sequence[str]) -> list[Outcome]:
    """What these programs do, each a function of one workspace, run one after the other in one worker.

    What the compiler refuses is left out of the deploy; the refusal is its outcome.
    """
    functions = {name_of(number): {"code": program, "timeout": TIMEOUT_MS} for number, program in enumerate(programs)}
    found: dict[str, Outcome] = {}
    deployed = await client.deploy(WORKSPACE, functions)
    if deployed.status != 200:
        for error in deployed.body["details"]["errors"]:
            refused = f"CompilationError: {error['message']}"
            found.setdefault(error["function"], outcome(error=refused, line=error["line"]))
            functions.pop(error["function"], None)
        deployed = await client.deploy(WORKSPACE, functions) if functions else deployed
        assert deployed.status == 200 or not functions, deployed.body
    for name in functions:
        found[name] = read(await client.run(WORKSPACE, name))
    return [found[name_of(number)] for number in range(len(programs))]


async def alone(client: Client, program: str, *, number: int) -> Outcome:
    """What a program does in a worker that has run nothing else, under the name it has by this number."""
    await client.call("DELETE", f"/v2/functions/{WORKSPACE}")
    name = name_of(number)
    deployed = await client.deploy(WORKSPACE, {name: program})
    if deployed.status != 200:
        error = deployed.body["details"]["errors"][0]
        return outcome(error=f"CompilationError: {error['message']}", line=error["line"])
    return read(await client.run(WORKSPACE, name))


def read(answer: Answer) -> Outcome:
    """The outcome that an answer tells of."""
    if answer.status == 200:
        return outcome(result=answer.result, printed=answer.messages)
    if answer.status != 500 or answer.body["error"] != "FunctionError":
        return outcome(error=f"{LOST}: {answer.status} {answer.body}")
    details = answer.body["details"]
    calls = [(int(line), within) for _, line, within in _CALL.findall(details["traceback"])]
    return outcome(error=answer.body["message"], line=details["line"], frames=calls, printed=answer.messages)
