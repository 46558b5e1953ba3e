"""`create_app` inside another application, as the example shows it."""

import importlib.util
from pathlib import Path
from types import ModuleType

from pytest_aiohttp import AiohttpClient

from service.settings import Settings

EXAMPLE = Path(__file__).parents[2] / "examples" / "mounted.py"


def _example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mounted", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _settings(folder: Path) -> Settings:
    return Settings(functions_dirpath=folder / "functions", database_path=folder / "skep.db")


async def test_the_example_serves_both_applications(aiohttp_client: AiohttpClient, tmp_path: Path) -> None:
    client = await aiohttp_client(_example().build(_settings(tmp_path)))
    assert (await client.get("/hello")).status == 200
    deployed = await client.post("/skep/v2/functions/w", json={"functions": {"f": {"code": "return 1"}}})
    assert deployed.status == 200
    ran = await client.post("/skep/v2/functions/w/run/f", json={})
    assert (await ran.json())["result"] == 1
    lost = await client.get("/skep/nowhere")
    assert (lost.status, (await lost.json())["error"]) == (404, "ObjectNotFoundError")
    assert (await client.get("/nowhere")).headers.get("x-correlation-id") is None


async def test_two_applications_live_side_by_side(aiohttp_client: AiohttpClient, tmp_path: Path) -> None:
    for name in ("a", "b"):
        client = await aiohttp_client(_example().build(_settings(tmp_path / name)))
        ran = await client.post("/skep/v2/functions/w/run", json={"code": "return context.workspace"})
        assert (await ran.json())["result"] == "w"
