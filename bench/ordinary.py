"""Runs of ordinary functions, not one answer other than right: what is right is found by running the same code here."""

import asyncio
import json
import random
import textwrap
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
import yaml

from bench.errors import MeasureError
from bench.ledger import shortened

WORKSPACES: Final = tuple(f"soak-{number}" for number in range(4))
CONNECTIONS: Final = 16
VARIANTS: Final = 8
ANSWER_TIMEOUT_S: Final = 60.0
MAX_UNEXPECTED: Final = 100
"""After that many the soak has shown what it can and ends."""
USUAL_WEIGHT: Final = 200
WEIGHTS: Final = {"big_json": 10, "big_result": 10, "big_parameter": 50, "big_sort": 100}
"""How often a function is run, where not as usual: those that take long would take all the time."""

Expected = tuple[int, Any]
"""Status, and the result or `Type: message`."""


@dataclass(slots=True)
class Soak:
    """What came of it."""

    runs: Counter[str] = field(default_factory=Counter)
    """Answers, by function."""
    unexpected: list[str] = field(default_factory=list)
    elapsed_s: float = 0.0


class Outside:
    """The functions as ordinary Python, in this process."""

    def __init__(self, functions: Mapping[str, Mapping[str, Any]]) -> None:
        self.functions = functions
        """As a deploy takes them."""
        self._namespace: dict[str, Any] = {"__name__": __name__, "cache": {}}
        self._known: dict[tuple[str, int], Expected] = {}
        for name, function in functions.items():
            body = textwrap.indent(function["code"], "    ")
            exec(f"async def {name}({', '.join(function['parameters'])}):\n{body}", self._namespace)

    async def answer(self, name: str, parameters: Mapping[str, Any]) -> Expected:
        """What a run must be answered with."""
        key = name, parameters["n"]
        if key not in self._known:
            try:
                result = await self._namespace[name](**parameters)
            except Exception as error:  # noqa: BLE001 - a function that raises is a function
                self._known[key] = 500, f"{type(error).__name__}: {error}"
            else:
                self._known[key] = 200, json.loads(json.dumps(result))
        return self._known[key]


def read_functions() -> dict[str, dict[str, Any]]:
    """The functions of the soak, as a deploy takes them."""
    document = yaml.safe_load(Path(__file__).with_name("ordinary.yaml").read_text())
    functions: dict[str, dict[str, Any]] = document["functions"]
    return functions


def parameters_of(name: str, variant: int) -> dict[str, Any]:
    """What a function is run with; `big_parameter` gets 900 kB."""
    data = {"data": [f"{number:08d}" for number in range(variant, variant + 75_000)]} if name == "big_parameter" else {}
    return {"n": variant, **data}


async def soak(url: str, *, runs: int, seed: int = 1) -> Soak:
    """Deploy the functions into `WORKSPACES` and run them `runs` times, `CONNECTIONS` at once.

    Raises: MeasureError if a deploy is refused.
    """
    functions = read_functions()
    outside = Outside(functions)
    done = Soak()
    names = list(functions)
    weights = [WEIGHTS.get(name, USUAL_WEIGHT) for name in names]
    choices = random.Random(seed)
    # Every function at least once, then by weight.
    mix = iter((names + choices.choices(names, weights, k=runs))[:runs])
    timeout = aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_S)
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with aiohttp.ClientSession(url, timeout=timeout, connector=connector) as session:
        for workspace in WORKSPACES:
            async with session.post(f"/v2/functions/{workspace}", json={"functions": functions}) as response:
                if response.status != 200:
                    raise MeasureError(f"the deploy of {workspace} was refused: {await response.text()}")

        async def connection() -> None:
            for name in mix:
                parameters = parameters_of(name, choices.randrange(VARIANTS))
                path = f"/v2/functions/{choices.choice(WORKSPACES)}/run/{name}"
                expected = await outside.answer(name, parameters)
                try:
                    async with session.post(path, json={"parameters": parameters}) as response:
                        problem = difference(response.status, await response.text(), expected)
                except (aiohttp.ClientError, TimeoutError) as error:
                    problem = f"no answer: {error!r}"
                done.runs[name] += 1
                if problem:
                    done.unexpected.append(f"{path} n={parameters['n']}: {problem}")
                if len(done.unexpected) >= MAX_UNEXPECTED:
                    return

        started = time.perf_counter()
        async with asyncio.TaskGroup() as connections:
            for _ in range(CONNECTIONS):
                connections.create_task(connection())
        done.elapsed_s = time.perf_counter() - started
    return done


def difference(status: int, text: str, expected: Expected) -> str:
    """What is wrong with an answer, or nothing."""
    try:
        body = json.loads(text)
    except ValueError:
        body = text
    return difference_of(status, body, expected)


def difference_of(status: int, body: Any, expected: Expected) -> str:
    """The same for a body that was read."""
    try:
        got = status, body["result" if status == 200 else "message"]
    except (KeyError, TypeError):
        got = status, body
    return "" if got == expected else f"got {shortened(got)}, expected {shortened(expected)}"
