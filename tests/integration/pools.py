"""What tests of pools share: workspaces with a pool, and waiting until the service says that something is so."""

import asyncio

from prometheus_client.parser import text_string_to_metric_families

from tests.skep import Client

WAIT_S = 10


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
