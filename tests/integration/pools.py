"""What tests of pools share: workspaces with a pool, and waiting until the service says that something is so."""

import asyncio
from collections.abc import Mapping
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.skep import Answer, Client

WAIT_S = 10
BRIEF = "import asyncio\nawait asyncio.sleep(0.02)\nreturn n"
HOLD = "import asyncio\nawait asyncio.sleep(20)"
STUBBORN = """
import asyncio
try:
    await asyncio.sleep(9)
finally:
    cache['left'] = 1
"""
FUNCTIONS: Mapping[str, str | Mapping[str, Any]] = {
    "one": "return 1",
    "brief": {"code": BRIEF, "parameters": {"n": {}}},
    "hold": HOLD,
    "seen": {"code": "cache.setdefault('seen', []).append(n)\nreturn cache['seen']", "parameters": {"n": {}}},
}


async def samples(client: Client) -> dict[tuple[str, tuple[str, ...]], float]:
    """Every sample of `/metrics`, by name and label values."""
    text = (await client.call("GET", "/metrics")).body.decode()
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def sample(client: Client, name: str, *labels: str) -> float:
    """One of them; 0 where there is none yet."""
    return (await samples(client)).get((name, labels), 0.0)


async def until(client: Client, name: str, *labels: str, value: float) -> None:
    """Wait until a sample has this value."""
    async with asyncio.timeout(WAIT_S):
        while await sample(client, name, *labels) != value:
            pass


async def workers(client: Client, workspace: str, count: int) -> None:
    await until(client, "skep_workspace_workers", workspace, value=count)


async def held(client: Client, workspace: str) -> "asyncio.Task[Answer]":
    """A run that takes its place until it is cancelled."""
    before = (await samples(client))["skep_runs_running", ()]
    holding = asyncio.create_task(client.run(workspace, "hold"))
    await until(client, "skep_runs_running", value=before + 1)
    return holding


async def queued(client: Client, workspace: str, function: str, **parameters: object) -> "asyncio.Task[Answer]":
    """A run that waits, and does so before this returns."""
    waiting = (await samples(client)).get(("skep_workspace_waiting", (workspace,)), 0.0)
    task = asyncio.create_task(client.run(workspace, function, **parameters))
    await until(client, "skep_workspace_waiting", workspace, value=waiting + 1)
    return task
